package xa

import "fmt"

// The names below are the words of docs/protocol.md; logs, reports and test scripts use them too.

var stateNames = [...]string{"active", "preparing", "deciding", "committing", "one-phase", "aborting", "fencing", "unknown", "halted", "done"}

func (s State) String() string { return name(stateNames[:], int(s)) }

var branchStateNames = [...]string{
	"active", "ending", "preparing", "prepared", "deciding", "committing", "rolling back", "committed", "rolled back", "lost",
}

func (s BranchState) String() string { return name(branchStateNames[:], int(s)) }

var eventNames = [...]string{"commit", "rollback", "branch lost", "reply", "logged", "fenced", "late"}

func (k EventKind) String() string { return name(eventNames[:], int(k)) }

var resultNames = [...]string{"ok", "refused", "lost"}

func (r Result) String() string { return name(resultNames[:], int(r)) }

var actionNames = [...]string{"end", "prepare", "one-phase", "append", "decide", "fence", "commit", "rollback", "answer", "forget", "halt"}

func (k ActionKind) String() string { return name(actionNames[:], int(k)) }

var outcomeNames = [...]string{"none", "committed", "committed late", "rolled back", "in doubt"}

func (o Outcome) String() string { return name(outcomeNames[:], int(o)) }

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}
