package router

import (
	"maps"
	"slices"
	"strings"
)

// View is a view on the backend of its schema's tables without an entry.
type View struct {
	Schema, Name string
	Definition   string // the query, as information_schema.VIEWS has it
}

// LearnViews tells the router which views there are on the backends of their schemas. Those that read rows of other backends are refused
// then, because there they have but a part of them. It may be called while others plan, but by one goroutine at a time.
func (r *Router) LearnViews(views []View) {
	c := r.base.catalog
	for range len(views) + 1 { // views read views
		scattered := map[string]bool{}
		for _, v := range views {
			if r.base.scattered(v) {
				scattered[strings.ToLower(v.Schema+"."+v.Name)] = true
			}
		}
		if old := c.views.Load(); old != nil && maps.Equal(*old, scattered) || old == nil && len(scattered) == 0 {
			return
		}
		c.views.Store(&scattered)
		if r.cache != nil {
			r.cache.clear()
		}
	}
}

// scattered tells whether not all rows that the view reads are on its backend.
func (r *Router) scattered(v View) bool {
	s := r.catalog.schemas[strings.ToLower(v.Schema)]
	if s == nil || s.backend < 0 || s.tables[strings.ToLower(v.Name)] != nil {
		return false
	}
	p, err := r.Plan([]byte(v.Definition), v.Schema, 0)
	if err != nil {
		return true
	}
	for _, part := range p.Parts {
		there := part.Backend == s.backend || part.Backend == AnyBackend || part.Backend == OneCopy && slices.Contains(p.Copies, s.backend)
		if !there {
			return true
		}
	}
	return false
}

// view is the reason to refuse a view that reads rows of several backends.
func (c *catalog) view(schema, name string, at int) *reason {
	views := c.views.Load()
	if views == nil || !(*views)[schema+"."+strings.ToLower(name)] {
		return nil
	}
	if _, hidden := c.temporary[schema+"."+strings.ToLower(name)]; hidden {
		return nil
	}
	return unsupported(at, "write its query in its place; or, if each backend can answer it for its own rows, give the view a [[tables]] entry like that of the table",
		"not all rows that view %s.%s reads are on its backend", schema, strings.ToLower(name))
}
