package integration

import (
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/wire"
)

// TestTrackedTransactions: of a transaction over several backends the client is told what one server would tell of it, be it
// done on one branch or on all.
func TestTrackedTransactions(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c := s.rawAs(wire.Dialer{User: "u", Password: "pw", Schema: s.schema, Caps: wire.SessionTrack | wire.DeprecateEOF})
		for _, step := range []struct{ statement, told string }{
			{"INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)", ""},
			{"SET SESSION session_track_transaction_info = 'CHARACTERISTICS'", "*"},
			{"UPDATE accounts SET v = v + 1 WHERE id IN (1, 2)", ""},
			{"SELECT v FROM accounts WHERE id IN (1, 2)", ""},
			{"BEGIN", "T_______ START TRANSACTION;"},
			{"UPDATE accounts SET v = 1 WHERE id = 1", "T___W___"},
			{"SELECT v FROM accounts WHERE id = 2", "T_R_W_S_"},
			{"UPDATE accounts SET v = 1 WHERE id = 2", ""},
			{"UPDATE accounts SET v = v + 1 WHERE id IN (1, 2)", ""},
			{"SELECT v FROM accounts WHERE id IN (1, 2)", ""},
			{"COMMIT", "________ "},
			{"START TRANSACTION READ ONLY", "T_______ START TRANSACTION READ ONLY;"},
			{"SELECT 1", "T_____S_"},
			{"SELECT v FROM accounts WHERE id IN (1, 2)", "T_R___S_"},
			{"ROLLBACK", "________ "},
			{"START TRANSACTION WITH CONSISTENT SNAPSHOT", "T_R_____ START TRANSACTION WITH CONSISTENT SNAPSHOT;"},
			{"UPDATE accounts SET v = v + 1 WHERE id IN (1, 2)", "T_R_W___"},
			{"COMMIT AND CHAIN", "T_______ START TRANSACTION;"},
			{"SELECT v FROM accounts WHERE id = 2", "T_R___S_"},
			{"UPDATE accounts SET v = 1 WHERE id IN (1, 2)", "T_R_W_S_"},
			{"ROLLBACK", "________ "},
		} {
			check(t, c.SendQuery(nil, []byte(step.statement)))
			r, err := c.ReadResult(10_000)
			check(t, err)
			var told []string
			for state := r.OK.SessionState; len(state) > 0; {
				var one wire.Track
				one, state, err = wire.NextTrack(state)
				check(t, err)
				told = append(told, string(one.Value))
			}
			if got := strings.Join(told, " "); got != step.told && step.told != "*" {
				t.Errorf("%s: told %q, want %q", step.statement, got, step.told)
			}
			if flag := r.OK.Status&wire.StatusSessionStateChanged != 0; flag != (step.told != "") {
				t.Errorf("%s: the flag is %v", step.statement, flag)
			}
		}
	})
}
