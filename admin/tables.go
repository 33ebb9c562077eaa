package admin

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/xaproxy/xaproxy/admin/live"
)

// Table is what /live/{table} answers.
type Table struct {
	Table   string        `json:"table"`
	About   string        `json:"about"`
	Columns []TableColumn `json:"columns"`
	Rows    [][]any       `json:"rows"`
}

// TableColumn is a column with its comment.
type TableColumn struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

// TablePattern is where Tables is.
const TablePattern = "GET /live/{table}"

// Tables answers TablePattern: the rows of a table of package live with the names and comments of its columns, as JSON.
func Tables(source live.Source) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := live.Find(r.PathValue("table"))
		if v == nil {
			say(w, http.StatusNotFound, "no such table; there are "+strings.Join(live.Names(), ", ")+"\n")
			return
		}
		a := Table{Table: v.Name, About: v.About, Rows: v.Rows(source)}
		for _, c := range v.Columns {
			a.Columns = append(a.Columns, TableColumn{c.Name, c.About})
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(a) // an error means that nobody is left to tell
	})
}
