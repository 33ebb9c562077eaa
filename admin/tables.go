package admin

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/xaproxy/xaproxy/admin/live"
)

// tables answers /live/{table}: the rows of a table of package live with the names and comments of its columns, as JSON.
func tables(source live.Source) http.Handler {
	type column struct {
		Name  string `json:"name"`
		About string `json:"about"`
	}
	type answer struct {
		Table   string   `json:"table"`
		About   string   `json:"about"`
		Columns []column `json:"columns"`
		Rows    [][]any  `json:"rows"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := live.Find(r.PathValue("table"))
		if v == nil {
			say(w, http.StatusNotFound, "no such table; there are "+strings.Join(live.Names(), ", ")+"\n")
			return
		}
		a := answer{Table: v.Name, About: v.About, Rows: v.Rows(source)}
		for _, c := range v.Columns {
			a.Columns = append(a.Columns, column{c.Name, c.About})
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(a) // an error means that nobody is left to tell
	})
}
