package router

import "slices"

// pick is a condition on the shard key of a table: rows that meet it are on the shards that it picks, whatever else the
// statement asks of them. nil picks all shards.
type pick struct {
	op pickOp
	// column is the one of several columns that a pickColumn is about.
	column int
	// keys are the keys, one literal for each column; of pickColumn the values of the column; of pickBetween the lowest and the
	// highest key, with slot -1 if there is none.
	keys []keyRef
	of   []*pick // what a pickAnd or pickOr joins
}

type pickOp uint8

const (
	pickKeys    pickOp = iota // key = literal, key IN (literals)
	pickColumn                // the same of one of several columns: it picks nothing by itself
	pickBetween               // key BETWEEN literal AND literal, key < literal ...
	pickAnd
	pickOr
)

// maxProduct is how many keys the values of several columns may make.
const maxProduct = 1 << 10

// both is the condition that both p and q are true.
func both(p, q *pick) *pick {
	switch {
	case p == nil:
		return q
	case q == nil:
		return p
	}
	return &pick{op: pickAnd, of: []*pick{p, q}}
}

// either is the condition that one of them is true.
func either(p, q *pick) *pick {
	if p.op == q.op && p.column == q.column && (p.op == pickKeys || p.op == pickColumn) {
		return &pick{op: p.op, column: p.column, keys: slices.Concat(p.keys, q.keys)}
	}
	return &pick{op: pickOr, of: []*pick{p, q}}
}

// complete is the condition without what picks nothing, and with the keys that values of all columns make; nil if nothing is left.
func (p *pick) complete(columns int) *pick {
	switch {
	case p == nil || p.op == pickColumn:
		return nil
	case p.op == pickOr:
		q := &pick{op: pickOr}
		for _, one := range p.of {
			c := one.complete(columns)
			if c == nil {
				return nil
			}
			q.of = append(q.of, c)
		}
		return q
	case p.op == pickAnd:
		return p.conjunction(columns)
	}
	return p
}

// conjunction is complete for a pickAnd.
func (p *pick) conjunction(columns int) *pick {
	var rest []*pick
	values := make([][]keyRef, columns)
	var flat func(p *pick)
	flat = func(p *pick) {
		switch {
		case p.op == pickAnd:
			for _, one := range p.of {
				flat(one)
			}
		case p.op == pickColumn:
			if v := values[p.column]; v == nil || len(p.keys) < len(v) {
				values[p.column] = p.keys
			}
		default:
			if c := p.complete(columns); c != nil {
				rest = append(rest, c)
			}
		}
	}
	flat(p)
	if keys := product(values); keys != nil {
		rest = append(rest, &pick{op: pickKeys, keys: keys})
	}
	for _, one := range rest {
		if one.op == pickKeys && len(one.keys) == columns { // no other condition can pick fewer
			return one
		}
	}
	if len(rest) > 1 {
		return &pick{op: pickAnd, of: rest}
	}
	return append(rest, nil)[0]
}

// product is all keys that the values of the columns make, nil if one has no values or there are too many.
func product(values [][]keyRef) []keyRef {
	n := 1
	for _, v := range values {
		if n *= len(v); n == 0 || n > maxProduct {
			return nil
		}
	}
	var keys []keyRef
	for i := range n {
		for c, v := range values {
			i := i
			for _, later := range values[c+1:] {
				i /= len(later)
			}
			keys = append(keys, v[i%len(v)])
		}
	}
	return keys
}

// literals calls f with the slots of all literals that the condition reads.
func (p *pick) literals(f func(slot int)) {
	if p == nil {
		return
	}
	for _, k := range p.keys {
		if k.slot >= 0 {
			f(k.slot)
		}
	}
	for _, one := range p.of {
		one.literals(f)
	}
}

// single is the key if the condition is that there is only one, else nil.
func (p *pick) single(columns int) []keyRef {
	if p != nil && p.op == pickKeys && len(p.keys) == columns {
		return p.keys
	}
	return nil
}

// placing places the keys of one statement.
type placing struct {
	s            *scan
	value        func(int) Value // not called for text without parameters
	why          *reason         // why a key has no place; it may be on all shards then
	at           int             // the literal that why is about
	null, column int             // its slot, counted from 1, and its place in the key, if it is a parameter that is NULL
	key          key             // of one column, used again for each row

	stores bool // the keys are of rows that are inserted, not of conditions
}

// read reads the literal as a key of the table, column being its place there.
func (pl *placing) read(t *table, column int, ref keyRef, k *key) (fault keyFault) {
	k.date = t.sharding.moments
	lit := pl.s.lits[ref.slot]
	quoted := lit.kind == kString
	if lit.kind == kParam {
		v := pl.value(int(lit.param))
		quoted = v.Kind == ValueBytes
		fault = k.value(v, ref.minus)
	} else {
		fault = k.parse(pl.s.sql[lit.start:lit.end], lit.kind, ref.minus, pl.s.mode)
	}
	if holds := t.column(column); holds != nil && fault == keyGood {
		fault = holds.unfit(k, quoted, pl.stores)
	}
	return fault
}

// shard is the shard of the rows with a key.
func (pl *placing) shard(t *table, refs []keyRef) (shard int, fault keyFault) {
	if len(refs) == 1 {
		return pl.one(t, refs[0])
	}
	keys := make([]key, len(refs))
	for i, ref := range refs {
		if fault = pl.read(t, i, ref, &keys[i]); fault != keyGood {
			pl.wrong(t, i, ref, fault)
			return 0, fault
		}
	}
	if shard, fault = t.sharding.together(keys); fault != keyGood {
		pl.wrong(t, 0, refs[0], fault)
	}
	return shard, fault
}

// one is shard for a key of one column.
func (pl *placing) one(t *table, ref keyRef) (shard int, fault keyFault) {
	if fault = pl.read(t, 0, ref, &pl.key); fault == keyGood {
		if shard, fault = t.sharding.shard(&pl.key); fault == keyGood && pl.key.date {
			fault = t.rounded(&pl.key, shard, pl.stores)
		}
	}
	if fault != keyGood {
		pl.wrong(t, 0, ref, fault)
	}
	return shard, fault
}

// wrong notes why a key has no place.
func (pl *placing) wrong(t *table, column int, ref keyRef, fault keyFault) {
	if pl.why != nil {
		return
	}
	lit := pl.s.lits[ref.slot]
	pl.at = lit.start
	if fault == keyNull {
		pl.null, pl.column = ref.slot+1, column
	}
	pl.why = misplaced(t, column, fault, lit.kind == kParam)
}

// misplaced is the reason why a key has no place.
func misplaced(t *table, column int, fault keyFault, bound bool) *reason {
	verb, what := "write", "a plain integer or an ASCII string"
	if bound {
		verb = "bind"
	}
	switch {
	case fault == keyNowhere:
		return &reason{errno: 1526, text: "the shard key " + t.columns[column] + " of " + t.name + " has a value that no shard holds", do: "add a shard for it to the shard map, or write another value", at: -1}
	case fault == keyRounded:
		what = "whole seconds"
	case fault == keyMember:
		what = "the name of a member, as a string"
	case fault == keyYear:
		what = "four digits"
	case fault == keyZoned:
		verb, what = "make it", "a DATETIME"
	case faultErrnos[fault] != 0:
		return &reason{errno: faultErrnos[fault], text: "the value of the shard key " + t.columns[column] + " of " + t.name + " " + keyFaults[fault], do: verb + " one that the column holds", at: -1}
	case t.sharding.moments:
		what = "a date such as '2026-01-31'"
	}
	return unsupported(-1, verb+" "+what, "the value of the shard key %s of %s %s", t.columns[column], t.name, keyFaults[fault])
}

// shards adds the shards that the condition picks of the table, and tells whether it limits them. A key that has no place may be
// anywhere.
func (pl *placing) shards(t *table, p *pick, to *shardSet) (limited bool) {
	switch {
	case p == nil:
	case p.op == pickKeys:
		limited = pl.keys(t, p.keys, to)
	case p.op == pickBetween:
		limited = pl.between(t, p.keys, to)
	case p.op == pickAnd:
		all := t.sharding.all
		for _, one := range p.of {
			var some shardSet
			if pl.shards(t, one, &some) {
				limited = true
				all.intersect(&some)
			}
		}
		to.unite(&all)
	case p.op == pickOr:
		limited = true
		for _, one := range p.of {
			limited = limited && pl.shards(t, one, to)
		}
	}
	if !limited {
		*to = t.sharding.all
	}
	return limited
}

func (pl *placing) keys(t *table, refs []keyRef, to *shardSet) bool {
	for key := range slices.Chunk(refs, len(t.columns)) {
		switch shard, fault := pl.shard(t, key); fault {
		case keyGood:
			to.add(shard)
		case keyNowhere: // there are no such rows
		default:
			return false
		}
	}
	return true
}

func (pl *placing) between(t *table, refs []keyRef, to *shardSet) bool {
	var keys [2]key
	var ends [2]*key
	for i, ref := range refs {
		if ref.slot < 0 {
			continue
		}
		if fault := pl.read(t, 0, ref, &keys[i]); fault != keyGood {
			pl.wrong(t, 0, ref, fault)
			return false
		}
		if keys[i].date { // the end may be rounded, too
			from, to := keys[i].around(t.column(0).unit())
			keys[i].moment.Low = [2]uint64{from, to}[i]
			keys[i].moment.Negative = int64(keys[i].moment.Low) < 0
		}
		ends[i] = &keys[i]
	}
	t.sharding.between(ends[0], ends[1], to)
	return true
}
