package router

// Redact returns a statement with ? in place of each literal and without its comments, which is what may be shown of it to others than its
// client. Rows of an INSERT that look like an earlier one are left out. Of a text that cannot be read, or was cut off, it is what comes
// before that place, and "...".
func Redact(sql []byte, mode Mode) string {
	s := scans.Get().(*scan)
	defer s.release()
	s.read(sql, "", mode&^hides, false)
	rest := ""
	if at := s.fault; at >= 0 {
		s.read(sql[:at], "", mode&^hides, false)
		rest = " ..."
		if s.fault >= 0 { // within an executable comment that the first reading had not left
			return "..."
		}
	}
	text := make([]byte, 0, len(s.text())+len(rest))
	for _, c := range s.text() {
		if c >= placeInt && c <= placeParam {
			c = '?'
		}
		text = append(text, c)
	}
	return string(append(text, rest...))
}

// Outline says in a few lines where a statement of the plan goes and how it is answered: Explain without texts and values.
func (r *Router) Outline(p *Plan) []string {
	x := explanation{Router: r, plan: p, s: new(scan), top: &node{}}
	for _, section := range []func(*explanation){(*explanation).head, (*explanation).merge, (*explanation).commit} {
		section(&x)
	}
	return x.top.lines(nil, "")
}
