package router

import "strings"

// Console is the schema in which administrators see the proxy itself. It is on no backend: statements on it are refused here, and their session knows better.
const Console = "xaproxy"

// Command is what an administrator wants done.
type Command struct {
	Verb    CommandVerb
	DryRun  bool   // of Reload and Recover
	Backend string // of Pause and Resume
	ID      uint64 // of KillSession
	GTRID   string // of Resolve
	Commit  bool   // of Resolve: commit, else roll back
}

// CommandVerb is the kind of a Command.
type CommandVerb uint8

// The kinds.
const (
	Reload      CommandVerb = iota // XAPROXY RELOAD [DRY RUN]
	Drain                          // XAPROXY DRAIN
	Pause                          // XAPROXY PAUSE BACKEND name
	Resume                         // XAPROXY RESUME BACKEND name
	KillSession                    // XAPROXY KILL number
	Recover                        // XAPROXY RECOVER [DRY RUN]
	Resolve                        // XAPROXY RESOLVE 'gtrid' COMMIT | ROLLBACK FORCE
)

var commandNames = [...]string{"reload", "drain", "pause backend", "resume backend", "kill", "recover", "resolve"}

// String is the command as an audit has it.
func (c *Command) String() string {
	text := commandNames[c.Verb]
	switch c.Verb {
	case Reload, Recover:
		if c.DryRun {
			text += " --dry-run"
		}
	case Pause, Resume:
		text += " " + c.Backend
	case Resolve:
		text += " " + c.GTRID + ": rollback"
		if c.Commit {
			text = strings.TrimSuffix(text, "rollback") + "commit"
		}
	}
	return text
}

// administer reads a statement that begins with XAPROXY. It works on the client's text, because values are wanted.
func (st *stmt) administer() (*Plan, *reason) {
	c := &Command{}
	end := 2
	switch word := st.word(1); word {
	case "RELOAD", "RECOVER":
		if word == "RECOVER" {
			c.Verb = Recover
		}
		if c.DryRun = st.words(2, "DRY", "RUN"); c.DryRun {
			end = 4
		}
	case "DRAIN":
		c.Verb = Drain
	case "PAUSE", "RESUME":
		if c.Verb = Pause; word == "RESUME" {
			c.Verb = Resume
		}
		if st.word(2) != "BACKEND" {
			return nil, st.wrong(2)
		}
		if c.Backend = st.nameOrString(3); c.Backend == "" {
			return nil, st.wrong(3)
		}
		end = 4
	case "KILL":
		c.Verb, end = KillSession, 3
		var ok bool
		if c.ID, ok = st.number(2); !ok {
			return nil, st.wrong(2)
		}
	case "RESOLVE":
		c.Verb = Resolve
		if c.GTRID = st.nameOrString(2); c.GTRID == "" {
			return nil, st.wrong(2)
		}
		if c.Commit = st.word(3) == "COMMIT"; !c.Commit && st.word(3) != "ROLLBACK" {
			return nil, st.wrong(3)
		}
		if st.word(4) != "FORCE" {
			return nil, unsupported(st.at(4), "look at it with SELECT * FROM xaproxy.branches, and add FORCE", "RESOLVE acts without a decision, and nobody can undo it")
		}
		end = 5
	default:
		return nil, st.wrong(1)
	}
	return st.done(end, &Plan{Verb: Administer, Command: c})
}

// nameOrString is a name, quoted or not, or a string; "" if it is neither.
func (st *stmt) nameOrString(i int) string {
	if i >= len(st.toks) {
		return ""
	}
	if t := st.toks[i]; t.kind == kString {
		return string(Unescape([]byte(st.text[t.start:t.end]), st.mode))
	}
	return st.toks[i].name
}

// Parameters are the places of the parameters in a text.
func Parameters(sql []byte, mode Mode) (at []int) {
	s := scans.Get().(*scan)
	defer s.release()
	s.read(sql, "", mode, false)
	for _, lit := range s.lits {
		if lit.kind == kParam {
			at = append(at, lit.start)
		}
	}
	return at
}
