package router

import "slices"

// chooseInsert places each row of an INSERT into a sharded table.
func (sh *shape) chooseInsert(s *scan, value func(int) Value) (*Plan, *reason, int) {
	in := sh.insert
	pl := placing{s: s, value: value, at: -1}
	if in.rows && len(s.likes) != in.likes {
		return nil, unsupported(-1, "write VALUES (...), (...)", "the rows of the INSERT are not understood"), -1
	}
	switch {
	case in.numbers != nil:
		return sh.chooseNumbered(&pl)
	case in.computed != nil:
		return sh.chooseComputed(&pl)
	}
	p, why, at := sh.chooseRows(&pl)
	if why != nil && pl.null > 0 && in.rows { // a server says whether that is an error
		one := *sh.set.on(in.table.first())
		lit := s.lits[pl.null-1]
		one.Compute = []Computed{{in.table.name, in.table.columns[pl.column], lit.start, lit.end, false}}
		return &one, nil, -1
	}
	return p, why, at
}

// chooseNumbered is chooseInsert for a table with a sequence.
func (sh *shape) chooseNumbered(pl *placing) (*Plan, *reason, int) {
	count, highest, why, at := sh.insert.lacking(pl)
	switch {
	case why != nil:
		return nil, why, at
	case count > 0 && pl.s.exec:
		return nil, unsupported(-1, "write it without the comment", "rows of the INSERT need numbers, and there is an executable comment"), -1
	case count > 0:
		p := *sh.set.on(sh.insert.table.first())
		p.Numbers, p.Highest = count, highest
		return &p, nil, -1
	}
	if sh.insert.computed != nil {
		p, why, at := sh.chooseComputed(pl)
		if why == nil {
			p.Highest = highest
		}
		return p, why, at
	}
	p, why, at := sh.chooseRows(pl)
	if why != nil {
		return nil, why, at
	}
	one := *p
	one.Highest, one.LastRow = highest, p.Parts[0].Backend
	if len(p.Parts) > 1 {
		one.LastRow, _ = sh.insert.row(pl, &pl.s.rows[len(pl.s.rows)-1])
	}
	return &one, nil, -1
}

// chooseRows places each row of an INSERT that has all its numbers.
func (sh *shape) chooseRows(pl *placing) (*Plan, *reason, int) {
	p, why, at := sh.placeRows(pl)
	switch {
	case why != nil || len(sh.insert.entries) == 0:
		return p, why, at
	case sh.insert.rowwise != nil:
		return sh.byRows(p, pl)
	}
	return sh.insert.enter(p, pl)
}

// placeRows is chooseRows for the table alone.
func (sh *shape) placeRows(pl *placing) (*Plan, *reason, int) {
	in, s := sh.insert, pl.s
	pl.stores = true
	if !in.rows {
		shard, fault := pl.shard(in.table, in.keys)
		if fault != keyGood {
			return nil, pl.why, pl.at
		}
		return sh.set.on(in.table.sharding.backends[shard]), nil, -1
	}
	if in.alike(s) {
		b, _ := in.row(pl, &s.rows[0])
		if pl.why != nil {
			return nil, pl.why, pl.at
		}
		return sh.set.on(b), nil, -1
	}
	var space [32]uint16
	homes, several := space[:0], false // the backends of the rows
	for i := range s.rows {
		b, at := in.row(pl, &s.rows[i])
		if pl.why != nil {
			return nil, pl.why, pl.at
		}
		homes = append(homes, uint16(b))
		if several || homes[0] == uint16(b) {
			continue
		}
		several = true
		switch {
		case sh.merge == MergeNone:
			return nil, unsupported(at, "run it once for each backend", "the rows are for several backends, and %s", sh.whole), at
		case s.exec:
			return nil, unsupported(at, "write it without the comment", "the rows are for several backends, and there is an executable comment"), at
		}
	}
	if several {
		return sh.cut(s, homes), nil, -1
	}
	return sh.set.on(int(homes[0])), nil, -1
}

// row is the backend of one row, and where in the text its key begins; pl.why is why it has none.
func (in *insert) row(pl *placing, r *row) (backend, at int) {
	n := len(in.table.columns)
	if n == 1 {
		ref := in.keys[r.like]
		ref.slot += r.lit - pl.s.likes[r.like].slot
		shard, _ := pl.one(in.table, ref)
		return in.table.sharding.backends[shard], pl.s.lits[ref.slot].start
	}
	var space [8]keyRef
	keys := in.keysOf(pl.s, *r, space[:n])
	shard, _ := pl.shard(in.table, keys)
	return in.table.sharding.backends[shard], pl.s.lits[keys[0].slot].start
}

// alike tells whether the key of one column is written in all rows as in the first one, as it often is where rows belong together.
func (in *insert) alike(s *scan) bool {
	if len(in.table.columns) > 1 {
		return false
	}
	ref := in.keys[s.rows[0].like]
	first := s.lits[ref.slot+s.rows[0].lit-s.likes[s.rows[0].like].slot]
	text := s.sql[first.start:first.end]
	begin, mask := word(text, 0), uint64(1)<<(8*len(text))-1 // of its first eight bytes, which are all that most keys have
	for i := range s.rows {
		r := &s.rows[i]
		key := &in.keys[r.like]
		lit := &s.lits[key.slot+r.lit-s.likes[r.like].slot]
		if lit.kind != first.kind || key.minus != ref.minus || lit.end-lit.start != len(text) || (word(s.sql, lit.start)^begin)&mask != 0 {
			return false
		}
		if len(text) > 8 && string(s.sql[lit.start:lit.end]) != string(text) {
			return false
		}
	}
	return first.kind != kParam
}

// keysOf writes the shard key of one row into to.
func (in *insert) keysOf(s *scan, r row, to []keyRef) []keyRef {
	copy(to, in.keys[int(r.like)*len(to):])
	for i := range to {
		to[i].slot += r.lit - s.likes[r.like].slot
	}
	return to
}

// cut makes one statement for each backend: the text before the rows, its rows in their order, and the text behind them.
func (sh *shape) cut(s *scan, homes []uint16) *Plan {
	head, tail := s.sql[:s.rows[0].start], s.sql[s.rows[len(s.rows)-1].end:]
	p := sh.set.several(sh.merge)
	p.Records = len(s.rows)
	if sh.merge == MergeReturning {
		for _, home := range homes {
			p.Order = append(p.Order, int(home))
		}
	}
	var space [8]int
	sizes, total := space[:0], 0 // of the parts' texts
	part := func(home uint16) int {
		return slices.IndexFunc(p.Parts, func(q Part) bool { return q.Backend == int(home) })
	}
	for i, r := range s.rows {
		n := part(homes[i])
		if n < 0 {
			n = len(p.Parts)
			p.Parts = append(p.Parts, Part{Backend: int(homes[i])})
			sizes = append(sizes, len(head)+len(tail)-len(comma))
			total += len(head) + len(tail) - len(comma)
		}
		sizes[n] += r.end - r.start + len(comma)
		total += r.end - r.start + len(comma)
	}
	text := make([]byte, total)
	for i, size := range sizes {
		p.Parts[i].SQL = append(text[:0:size], head...)
		text = text[size:]
	}
	params := paramReader{lits: s.lits}
	headParams := params.until(nil, len(head))
	for i, r := range s.rows {
		one := &p.Parts[part(homes[i])]
		if len(one.SQL) > len(head) {
			one.SQL = append(one.SQL, comma...)
		}
		one.SQL = append(one.SQL, s.sql[r.start:r.end]...)
		if s.params > 0 {
			if one.Params == nil {
				one.Params = append(make([]int, 0, s.params), headParams...)
			}
			one.Params = params.until(one.Params, r.end)
		}
	}
	tailParams := params.until(nil, len(s.sql))
	for i := range p.Parts {
		p.Parts[i].SQL = append(p.Parts[i].SQL, tail...)
		p.Parts[i].Params = append(p.Parts[i].Params, tailParams...)
	}
	slices.SortFunc(p.Parts, func(a, b Part) int { return a.Backend - b.Backend })
	return p
}

// comma goes between the rows of a part.
const comma = ", "
