package chaos

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// sharedMix is a mix of servers that other tests use at the same time.
func sharedMix(t *testing.T) *mix {
	t.Helper()
	m := &mix{name: "shared", kinds: [2]servers.Kind{servers.MariaDB, servers.MySQL}}
	for i, kind := range m.kinds {
		m.servers[i] = servertest.Get(t, kind)
		db, err := m.servers[i].DB()
		if err != nil {
			t.Fatal(err)
		}
		m.direct[i] = db
	}
	return m
}

// plant leaves a prepared branch on server i, with a table of its own in the batch's schema, and rolls it back when the
// test ends. It returns its name in lists.
func (b *batch) plant(t *testing.T, i int, gtrid, bqual string, format int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	xid := fmt.Sprintf("'%s','%s',%d", gtrid, bqual, format)
	table := fmt.Sprintf("%s.`planted %s`", b.schema, gtrid)
	conn, err := b.m.direct[i].Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		"CREATE TABLE " + table + " (n INT)", "XA START " + xid, "INSERT INTO " + table + " VALUES (1)", "XA END " + xid, "XA PREPARE " + xid,
	} {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	// The session ends with the branch prepared: MariaDB lets nobody else finish it before.
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	t.Cleanup(func() {
		eventually(t, patience, "roll the planted branch back", func() error {
			_, err := b.m.direct[i].Exec("XA ROLLBACK " + xid)
			return err
		})
	})
	return gtrid + "|" + bqual
}

// recoverJSON runs the recover command and returns its report and exit status.
func (b *batch) recoverJSON(t *testing.T, args ...string) (r recovery.Report, status int) {
	t.Helper()
	out, status, err := b.proxy.Recover(t.Context(), append(args, "--json")...)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("the report is not JSON: %v\n%s", err, out)
	}
	return r, status
}

// With the proxy stopped, the recover command lists what is in doubt, finishes it as the log says, and leaves alone what
// others have prepared; so does the proxy when it runs again.
func TestRecover(t *testing.T) {
	m := sharedMix(t)
	b := newBatch(t, m, "recover_command", unlimited, rows, 0, 1)
	b.place(t)
	if err := b.proxy.Kill(); err != nil {
		t.Fatal(err)
	}
	b.release(func(side) Verdict { return Cut })
	b.answers(t)
	b.inDoubt(t)
	var others [2][]string
	for i := range m.servers {
		others[i] = []string{
			b.plant(t, i, fmt.Sprintf("somebody-%d", i), "a", 20041),
			b.plant(t, i, fmt.Sprintf("xp1.00000000.1.%x", i+1), "a", 20041),              // of another coord
			b.plant(t, i, fmt.Sprintf("xp1.%s.1.fff%x", b.proxy.Coord(), i+1), "a", 4711), // of another format
		}
		slices.Sort(others[i])
	}
	left := func(i int) []string {
		return slices.DeleteFunc(m.prepared(t, i), func(x string) bool {
			return !slices.Contains(others[i], x) && !b.proxy.Owns(x)
		})
	}
	var before [2][]string
	for i := range m.servers {
		before[i] = left(i)
	}

	t.Run("dry run", func(t *testing.T) {
		r, status := b.recoverJSON(t, "--dry-run")
		if status != 1 || r.Left == 0 || r.NotOurs < 6 || r.Committed != 0 || r.RolledBack != 0 || !r.DryRun {
			t.Errorf("status %d, %d left, %d not ours, %d committed, %d rolled back; want status 1 and something left, untouched",
				status, r.Left, r.NotOurs, r.Committed, r.RolledBack)
		}
		for _, server := range r.Backends {
			for _, branch := range server.Branches {
				for _, tx := range b.transactions {
					want := map[fate]recovery.Verdict{committed: recovery.Commit, rolledBack: recovery.Rollback}[tx.row.want]
					if branch.GTRID == tx.gtrid && branch.Verdict != want {
						t.Errorf("%s on %s: verdict %s, want %s: %s", branch.GTRID, server.Name, branch.Verdict, want, tx.name())
					}
				}
			}
		}
		for i := range m.servers {
			if got := left(i); !slices.Equal(got, before[i]) {
				t.Errorf("a dry run has changed what is prepared on %s: %q, before %q", m.servers[i], got, before[i])
			}
		}
	})

	t.Run("a backend is away", func(t *testing.T) {
		path := b.proxy.ConfigPath()
		config, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		port, err := servers.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		_, there, _ := strings.Cut(b.taps[1].Addr(), ":")
		away := strings.Replace(string(config), "port = "+there, fmt.Sprintf("port = %d", port), 1)
		if err := os.WriteFile(path, []byte(away), 0o600); err != nil {
			t.Fatal(err)
		}
		r, status := b.recoverJSON(t, "--dry-run")
		if status != 2 || r.Unreachable != 1 {
			t.Errorf("status %d, %d unreachable; want 2 and 1", status, r.Unreachable)
		}
		if err := os.WriteFile(path, config, 0o600); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("for real", func(t *testing.T) {
		out, status, err := b.proxy.Recover(t.Context())
		if err != nil || status != 0 || !strings.Contains(out, "clean: nothing of ours is left") {
			t.Errorf("status %d, error %v, output:\n%s", status, err, out)
		}
		for i := range m.servers {
			if got := left(i); !slices.Equal(got, others[i]) {
				t.Errorf("left on %s: %q, want those of others, %q", m.servers[i], got, others[i])
			}
			for _, x := range others[i] {
				gtrid, _, _ := strings.Cut(x, "|")
				if !strings.Contains(out, gtrid) {
					t.Errorf("%s is not in the report", gtrid)
				}
			}
		}
		b.check(t, ifLost)
	})

	t.Run("the proxy", func(t *testing.T) {
		if err := b.proxy.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		// It does a pass before it answers; others have been done by then.
		if r, status := b.recoverJSON(t); status != 0 || r.NotOurs < 6 {
			t.Errorf("status %d, %d not ours; want 0 and at least 6", status, r.NotOurs)
		}
		for i := range m.servers {
			if got := left(i); !slices.Equal(got, others[i]) {
				t.Errorf("left on %s: %q, want those of others, %q", m.servers[i], got, others[i])
			}
		}
	})
}

// A branch of ours for a backend that nobody has configured is never touched, and makes the recover command say so.
func TestRecoverLeavesUnclaimed(t *testing.T) {
	m := sharedMix(t)
	b := newBatch(t, m, "recover_unclaimed", unlimited, nil, 0)
	if err := b.proxy.Stop(); err != nil {
		t.Fatal(err)
	}
	planted := b.plant(t, 0, "xp1."+b.proxy.Coord()+".1.ffff", "removed", 20041)
	r, status := b.recoverJSON(t)
	if status != 1 || r.Left != 1 {
		t.Errorf("status %d, %d left; want 1 and 1", status, r.Left)
	}
	if got := b.prepared(t, 0); !slices.Equal(got, []string{planted}) {
		t.Errorf("prepared: %q, want %q", got, planted)
	}
}

// segment returns the path and the bytes of the last file of the decision log.
func (b *batch) segment(t *testing.T) (string, []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(b.proxy.LogDir(), "*.seg"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no segments in %s: %v", b.proxy.LogDir(), err)
	}
	path := slices.Max(files)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, data
}

func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// sector is what a disk writes at once.
const sector = 512

// Half of a last write that was never synced is cut, and nothing that was decided is lost with it.
func TestTornLogIsCut(t *testing.T) {
	b := newBatch(t, sharedMix(t), "log_torn", unlimited, rows, 0)
	b.place(t)
	if err := b.proxy.Kill(); err != nil {
		t.Fatal(err)
	}
	b.release(func(side) Verdict { return Cut })
	b.answers(t)
	b.inDoubt(t)
	path, data := b.segment(t)
	end := len(data)
	for end > 0 && data[end-1] == 0 {
		end--
	}
	next := (end/sector + 1) * sector // of a record that begins before it, only this sector has come to the disk
	for i := range sector {
		data[next+i] = byte(i)
	}
	overwrite(t, path, data)
	from := b.proxy.Log.Len()
	if err := b.proxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.proxy.Log.Wait(t.Context(), from, `"level":"warn"`, "torn"); err != nil {
		t.Error(err)
	}
	b.settled(t)
	b.check(t, ifLost)
}

// A byte that has changed in the middle may hide a decision: neither serve nor recover starts, both say where it is, and
// nothing is concluded from what is missing. With the byte back, everything is finished.
func TestDamagedLogIsRefused(t *testing.T) {
	b := newBatch(t, sharedMix(t), "log_damaged", unlimited, rows, 0)
	b.place(t)
	if err := b.proxy.Kill(); err != nil {
		t.Fatal(err)
	}
	b.release(func(side) Verdict { return Cut })
	b.answers(t)
	b.inDoubt(t)
	path, data := b.segment(t)
	flipped := sector + 100 // behind the header, among the first records
	data[flipped] ^= 0x10
	overwrite(t, path, data)

	err := b.proxy.Restart(t.Context())
	if err == nil || !strings.Contains(err.Error(), "status 1") || !strings.Contains(err.Error(), path+" is damaged at byte ") {
		t.Errorf("serve: %v; want status 1 and the place in %s", err, path)
	}
	from := b.proxy.Log.Len()
	_, status, err := b.proxy.Recover(t.Context())
	if err != nil || status != 2 {
		t.Errorf("recover: status %d, error %v; want status 2", status, err)
	}
	if _, err := b.proxy.Log.Wait(t.Context(), from, path+" is damaged at byte "); err != nil {
		t.Errorf("recover: %v", err)
	}
	b.inDoubt(t)

	data[flipped] ^= 0x10
	overwrite(t, path, data)
	if err := b.proxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.settled(t)
	b.check(t, ifLost)
}
