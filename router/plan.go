package router

import (
	"fmt"
	"time"
)

// AnyBackend as a Part's backend leaves the choice to the session: every backend gives the same answer.
const AnyBackend = -1

// OneCopy as a Part's backend leaves the choice among the Plan's Copies to the session.
const OneCopy = -2

// Verb is what a session does with a statement.
type Verb uint8

// The verbs. All but Route are carried out by the session itself.
const (
	Route       Verb = iota // send Parts to their backends
	Empty                   // nothing but white space and comments
	Begin                   // BEGIN, START TRANSACTION
	Commit                  // COMMIT
	Rollback                // ROLLBACK of the whole transaction
	Savepoint               // SAVEPOINT Name
	RollbackTo              // ROLLBACK TO SAVEPOINT Name
	Release                 // RELEASE SAVEPOINT Name
	Set                     // SET of session variables: Sets
	Use                     // USE Name
	PrepareSQL              // PREPARE Name FROM Text, or FROM the user variable Var
	ExecuteSQL              // EXECUTE Name USING Using; with Immediate, of Text or Var in place of a name
	Deallocate              // DEALLOCATE PREPARE Name
	Kill                    // KILL [QUERY] ID
	Diagnostics             // SHOW WARNINGS or, with Errors, SHOW ERRORS; with Count SHOW COUNT(*) of them; with Get GET DIAGNOSTICS
	Processes               // SHOW PROCESSLIST; with Full SHOW FULL PROCESSLIST
	Handler                 // HANDLER Name READ and CLOSE: to where HANDLER ... OPEN was sent, whose plan has the same Name
	Explain                 // EXPLAIN XAPROXY of the statement Text: Router.Explain has the answer
	Administer              // XAPROXY ...: Command
	List                    // SHOW XAPROXY Name
)

var verbNames = [...]string{
	"route", "empty", "begin", "commit", "rollback", "savepoint", "rollback to", "release", "set", "use", "prepare",
	"execute", "deallocate", "kill", "diagnostics", "processes",
	"handler", "explain", "administer", "list",
}

func (v Verb) String() string {
	if int(v) < len(verbNames) {
		return verbNames[v]
	}
	return fmt.Sprintf("verb %d", uint8(v))
}

// Merge says how the answers to several parts become one.
type Merge uint8

// The merges.
const (
	MergeNone      Merge = iota // there is one part
	MergeOK                     // add up the counts of the OK packets
	MergeRows                   // concatenate the rows; the parts' columns are identical
	MergeOne                    // all parts did the same to copies of the same rows, the first part before the others: its answer stands for all
	MergeStream                 // merge the rows as Stream says
	MergeChange                 // read the rows first, as Change says, and add up the counts of the OK packets
	MergeScratch                // run the text where the rows of its tables are put together: Scratch
	MergeDDL                    // all parts do the same to what they have of a table or a schema, each for itself: DDL
	MergeReturning              // a change that answers with rows: concatenate them
	MergeSteps                  // read first and write what is found: Steps
	MergeListing                // each row of one backend only, as Listing says
)

var mergeNames = [...]string{"none", "ok", "rows", "one", "stream", "change", "scratch", "ddl", "returning", "steps", "listing"}

func (m Merge) String() string {
	if int(m) < len(mergeNames) {
		return mergeNames[m]
	}
	return fmt.Sprintf("merge %d", uint8(m))
}

// Plan is what to do with one statement. A Plan is shared between sessions and must not be changed.
type Plan struct {
	Verb Verb
	// Name is the savepoint of Savepoint, RollbackTo and Release, the schema of Use, or the statement of PrepareSQL, ExecuteSQL
	// and Deallocate; unquoted. Of HANDLER it is in lower case.
	Name string
	// ReadOnly, ReadWrite and Snapshot are of START TRANSACTION READ ONLY, READ WRITE and WITH CONSISTENT SNAPSHOT.
	ReadOnly, ReadWrite, Snapshot bool
	// Chain and Disconnect are of COMMIT or ROLLBACK with AND CHAIN and RELEASE. NoChain and NoDisconnect are their
	// explicit opposites, which override completion_type.
	Chain, Disconnect, NoChain, NoDisconnect bool
	// Command is of Administer.
	Command *Command
	// Write is false only for statements that cannot change rows or take row locks.
	Write bool
	// ImplicitCommit is true for statements before which MySQL commits the open transaction.
	ImplicitCommit bool
	// LastConn is true for a statement that asks what only the connection of the session's previous statement knows, such as
	// @@last_gtid: it must run there, if that is on the part's backend. Of Set: the expressions must be evaluated there.
	LastConn bool
	// Own is true for a statement that names values of the session's own: the session writes them into the text with
	// Router.Own and plans that.
	Own bool
	// Server is true for a statement about the server's variables. With AnyBackend it is best asked of the server whose version
	// the client was told: others may not have them.
	Server bool
	// Pin is what the statement leaves on its connections; with Unpin it gives that up instead. UNLOCK TABLES and
	// RELEASE_ALL_LOCKS() do; UNLOCK TABLES has AnyBackend, is for the connections that hold table locks, and if there are any
	// commits first.
	Pin   Pin
	Unpin bool
	// Temporary are the temporary tables, as schema.table in lower case, that the statement creates or, with Drops, drops; with
	// Renames the old and the new name of one.
	Temporary      []string
	Drops, Renames bool
	// Program is true for a statement that names stored code, a procedure or a function that is not built in: what that leaves
	// on the connection (user variables, temporary tables, locks) cannot be told from the text.
	Program bool
	// Privileged is true for a statement that shows or takes what belongs to the server as a whole, beyond what Schemas tell.
	Privileged bool
	// Variables are the user variables that the statement names, without @ in lower case, sorted: they must have their values
	// on its connections. With PinUserVariable some of them have new values there afterwards.
	Variables []string
	// Text is the statement of EXPLAIN XAPROXY, or that of PREPARE ... FROM 'text' and EXECUTE IMMEDIATE 'text', unescaped; Var is the variable in its place,
	// named as in Variables. Immediate tells the two kinds of EXECUTE apart.
	Text      []byte
	Var       string
	Immediate bool
	// Using are the values of EXECUTE, in the statement's order.
	Using []Argument
	// ID is the connection of Kill; Query that only its statement is meant.
	ID    uint64
	Query bool
	// Errors, Count and Get are of Diagnostics, Full is of Processes.
	Errors, Count, Get, Full bool
	// Local is true for the only statements during which a backend may ask for a file of the client: LOAD DATA LOCAL. With Load
	// the file must be split between the parts.
	Local bool
	Load  *Load
	// Sequence is the sharded table, as schema.table in lower case, into whose AUTO_INCREMENT column the statement writes numbers
	// that no server chooses: those that the client gives, the highest of which is Highest, and those of the table's sequence. As
	// long as Numbers of these are missing, the Plan has no parts to run but one to describe the statement: Router.Number writes
	// them into it, and its plan is another one then. LastRow is the backend of the last row. Partial tells that rows may be left
	// out or change others instead (IGNORE, ON DUPLICATE KEY UPDATE), Returning that it answers with rows.
	Sequence  string
	Highest   uint64
	Numbers   int
	LastRow   int
	Partial   bool
	Returning bool
	// Records is how many rows an INSERT has whose rows are cut into several parts; Ignore that it is INSERT IGNORE.
	Records int
	Ignore  bool
	// Columns is the sharded table, as schema.table in lower case, whose columns an INSERT means without naming them. It cannot be
	// placed before Router.List has written their names into it.
	Columns string
	// Compute are the values of the shard key of an INSERT that are expressions. It cannot be placed before values stand in the text in
	// their place.
	Compute []Computed
	// Order is the backends of the rows of an INSERT with MergeReturning, in the order of the statement.
	Order []int
	// Parts of Route, at least one, each backend once; in the order of config.Backends, but for copies of a broadcast table, of which those on
	// PostgreSQL are the last.
	Parts []Part
	Merge Merge
	// Stream is of MergeStream.
	Stream *Stream
	// Copies are, with OneCopy, the backends that have all of what the statement reads.
	Copies []int
	// Unordered is true for a statement with MergeOne that inserts rows in no certain order: ids that one backend gives them may be
	// those of other rows on another.
	Unordered bool
	// Inserts is true for INSERT and REPLACE with MergeOne.
	Inserts bool
	// Mixed is the table that a statement with MergeOne changes, if a copy is on PostgreSQL: the definitions must be the same.
	Mixed Object
	// Change is of MergeChange.
	Change *Change
	// Listing is of MergeListing.
	Listing *Listing
	// Lookup is what must be asked first: it knows the plan then. Parts has one backend to describe the statement.
	Lookup *Lookup
	// Scratch is of MergeScratch; Parts are the backends that have the rows then.
	Scratch *Scratch
	// DDL is of MergeDDL, and of a statement about a schema on one backend.
	DDL *DDL
	// Steps is of MergeSteps; Parts are the backends of what is changed then.
	Steps *Steps
	// Scatter tells that a statement with several parts runs on all shards because no shard key limits it.
	Scatter Scatter
	// Timeout, MayScatter, CommitKey and Complaints are of hints: how long the statement may run, 0 being no limit; that an UPDATE or DELETE
	// may run on all shards; the commit key of the transaction that begins; and the warnings that the client gets.
	Timeout    time.Duration
	MayScatter bool
	CommitKey  string
	Complaints []string
	// Sets are the assignments of Set in the statement's order. There are none if all of them may be ignored.
	Sets []Assignment
	// Schemas are the schemas that the statement names, by itself or through the current schema: lower case, sorted,
	// system schemas included.
	Schemas []string
}

// Listing says whose rows of an answer count, when several backends are asked what they have. Columns are counted from 0.
type Listing struct {
	Schema   string // that the rows are about; "": the first column has it
	Table    int    // the column with the table that a row is about, -1: a row is about its schema
	Unsorted bool   // a server sorts the rows by these columns, unless Unsorted
	Sums     []int  // columns that are added up over all backends of a sharded table
	// Needs are lists of backends of each of which one must answer, that nothing is missing.
	Needs [][]int
}

// Scatter is why a statement runs on all shards.
type Scatter uint8

// The kinds.
const (
	ScatterNone  Scatter = iota // it does not, or its shard keys are on all of them
	ScatterWhere                // its WHERE does not say which shards
	ScatterAll                  // it has no WHERE
)

var scatterNames = [...]string{"none", "where", "all"}

func (s Scatter) String() string {
	if int(s) < len(scatterNames) {
		return scatterNames[s]
	}
	return fmt.Sprintf("scatter %d", uint8(s))
}

// Argument is a value of EXECUTE ... USING.
type Argument struct {
	Var   string // the user variable that has it, named as in Variables; "" for a literal
	Text  string // a literal as the client wrote it
	Value Value  // of a literal
}

// Part is the share of one backend.
type Part struct {
	Backend int    // index into config.Backends, AnyBackend, or OneCopy
	SQL     []byte // nil: the client's text as it is
	// Params are the client's parameters that the part's text takes, in its order; nil: all of them.
	Params []int
}

// Scope is what an Assignment changes.
type Scope uint8

// The scopes. Plan refuses statements of the last two.
const (
	ScopeSession     Scope = iota // a session variable
	ScopeNames                    // SET NAMES, SET CHARACTER SET
	ScopeTransaction              // SET [SESSION] TRANSACTION
	ScopeUser                     // a user variable
	ScopeGlobal                   // SET GLOBAL
	ScopePersist                  // SET PERSIST, SET PERSIST_ONLY
)

var scopeNames = [...]string{"session", "names", "transaction", "user", "global", "persist"}

func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return fmt.Sprintf("scope %d", uint8(s))
}

// Assignment is one "name = expression" of a SET statement.
type Assignment struct {
	Scope Scope
	// Name is the variable in lower case, a user variable without @ and quotes. For ScopeNames it is "names" or "character set", for ScopeTransaction
	// "transaction" (the next one only) or "session transaction".
	Name string
	// Expr is the right-hand side as the client wrote it, comments inside included. If it is a user variable, character_set_client
	// may become a character set that this package cannot read: the session must look at its value. For ScopeNames the character set in
	// lower case without quotes ("default" for DEFAULT), for ScopeTransaction the characteristics as written.
	Expr string
	// Collate is the collation of SET NAMES x COLLATE y, in lower case without quotes.
	Collate string
	// Pos is the byte offset of the assignment in the statement.
	Pos int
}
