package router

// LoadText is a LOAD DATA LOCAL INFILE as it is written, for a reader of its whole file: the Cutter of its Load gives the values of lines.
type LoadText struct {
	Load
	Schema, Table string // Schema may be empty
	Replace       bool
	// Names are the columns that fields go to, and variables, with @ before their names in lower case; none: those of the table.
	Names []string
	Sets  []LoadSet
}

// LoadSet is column = expression behind SET.
type LoadSet struct{ Column, Expr string }

// ReadLoad reads the text of a LOAD DATA. The only error is *Refusal.
func ReadLoad(sql []byte, mode Mode) (*LoadText, error) {
	st := (&Router{}).newStmt(string(sql), "", mode)
	refused := func(why *reason) (*LoadText, error) { return nil, why.refusal(why.at) }
	h, why := st.loadHead()
	if why != nil {
		return refused(why)
	}
	l := st.loading(h, nil)
	l.forBackend = true
	if st.word(l.i) == "PARTITION" {
		return refused(unsupported(st.at(l.i), "leave it out", "PARTITION in LOAD DATA is not supported"))
	}
	if l.clauses(); l.why != nil {
		return refused(l.why)
	}
	if why := l.cuttable(h.into.at, "on this backend"); why != nil {
		return refused(why)
	}
	l.Whole = true
	return &LoadText{Load: l.Load, Schema: h.into.schema, Table: h.into.name, Replace: h.replace, Names: l.names, Sets: l.sets}, nil
}
