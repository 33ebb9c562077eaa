package live

import "time"

// Source is the running proxy. Its methods may be called at any time, by several goroutines at once; they wait for no backend and no client. What they
// return belongs to the caller.
type Source interface {
	Sessions() []Session
	Transactions() []Transaction
	Branches() []Branch
	Backends() []Backend
	Pools() []Pool
	Shards() []Shard
	Tables() []Table
	Decisions() []Decision
	Plans() []Plan
	SlowStatements() []SlowStatement
	Config() []Setting
	Events() []Event
}

// Session is a client that is connected.
type Session struct {
	ID        uint64        `col:"id" about:"id of the session, which KILL takes"`
	User      string        `col:"user" about:"user of [[users]]; empty before the login"`
	Host      string        `col:"host" about:"address and port of the client"`
	Schema    string        `col:"current_schema" about:"current schema; empty: none"`
	State     string        `col:"state" about:"login, idle, running, or idle in transaction"`
	Since     time.Time     `col:"since" about:"when that state began"`
	For       time.Duration `col:"state_seconds" about:"how long ago that was, in seconds"`
	Connected time.Time     `col:"connected" about:"when the client came"`
	Statement string        `col:"statement" about:"the beginning of the present statement, 1024 bytes of it; empty between statements"`
	GTRID     string        `col:"gtrid" about:"name of the open transaction, once it has a branch"`
	Backends  string        `col:"backends" about:"backends on which the statement runs"`
	Keeps     string        `col:"keeps" about:"why the session keeps connections to itself"`
}

// Transaction is one that has a branch and has not ended.
type Transaction struct {
	GTRID    string        `col:"gtrid" about:"name of the transaction on all backends"`
	Session  uint64        `col:"session" about:"id of the session that began it"`
	State    string        `col:"state" about:"active, preparing, deciding, committing, one-phase, aborting, fencing, unknown or halted: see docs/protocol.md"`
	Since    time.Time     `col:"since" about:"when that state began"`
	For      time.Duration `col:"state_seconds" about:"how long ago that was, in seconds"`
	Begun    time.Time     `col:"begun" about:"when its first branch was opened"`
	Age      time.Duration `col:"age_seconds" about:"how long ago that was, in seconds"`
	Branches int           `col:"branches" about:"number of branches"`
	Backends string        `col:"backends" about:"their backends"`
	Recorded bool          `col:"recorded" about:"1: the decision to commit is durable, and from here it only commits"`
	Answered bool          `col:"answered" about:"1: the client has its answer, and branches are still being finished"`
	Key      string        `col:"commit_key" about:"its commit key; empty without one"`
}

// Branch is a branch of a transaction in flight, or one that recovery has found prepared on a backend.
type Branch struct {
	GTRID      string        `col:"gtrid" about:"name of the transaction"`
	Backend    string        `col:"backend" about:"backend where the branch is"`
	BQUAL      string        `col:"bqual" about:"name of the branch within the transaction"`
	State      string        `col:"state" about:"state of the branch as docs/protocol.md has it; prepared, if recovery has found it"`
	InDoubt    bool          `col:"in_doubt" about:"1: prepared, and no transaction works on it: recovery finishes it"`
	Age        time.Duration `col:"age_seconds" about:"in seconds: since its transaction began, or since recovery saw the branch first"`
	Verdict    string        `col:"verdict" about:"what recovery does with it: commit, rollback, in flight, untouched, unclaimed, undecidable, fenced"`
	Reason     string        `col:"reason" about:"why, and what has come of it"`
	Owner      string        `col:"owner" about:"ours, other (another xaproxy installation) or foreign (not made by xaproxy)"`
	Wrote      bool          `col:"wrote" about:"1: a statement that may change rows ran here; 0 of branches that recovery has found"`
	Session    uint64        `col:"session" about:"id of the client's session; 0: there is none any more"`
	Connection uint64        `col:"connection" about:"the server's id of the session that runs the branch; 0: unknown"`
}

// Backend is a database.
type Backend struct {
	Name     string        `col:"name" about:"name of [[backends]]"`
	Kind     string        `col:"kind" about:"mysql, mariadb or postgres"`
	Address  string        `col:"address" about:"host and port, or socket"`
	Version  string        `col:"version" about:"version of the server; empty before the start checks have passed"`
	State    string        `col:"state" about:"up, down, unchecked (start checks have not passed), paused or leaving (not in the configuration any more)"`
	Reason   string        `col:"reason" about:"why it is not up; empty if it is"`
	Breaker  string        `col:"breaker" about:"closed; open: connecting has failed, and statements are refused at once until it succeeds"`
	Prepared int           `col:"prepared" about:"prepared branches of ours at the last look, those of transactions in flight included"`
	InDoubt  int           `col:"in_doubt" about:"those of them that no transaction works on"`
	Oldest   time.Duration `col:"oldest_seconds" about:"age of the oldest of them, in seconds"`
	Looked   time.Duration `col:"looked_seconds" about:"how long ago recovery has looked, in seconds; NULL: not yet"`
	Identity string        `col:"identity" about:"what tells this server from any other"`
}

// Pool has the connections to a backend.
type Pool struct {
	Backend  string        `col:"backend" about:"name of the backend"`
	Size     int           `col:"size" about:"connections that there may be: pool_size"`
	Open     int           `col:"open" about:"connections that there are"`
	Idle     int           `col:"idle" about:"those of them that nobody uses"`
	Used     int           `col:"used" about:"those that a statement or a transaction uses"`
	Waiting  int           `col:"waiting" about:"statements that wait for a connection"`
	Waits    uint64        `col:"waits" about:"statements that have waited, since the start"`
	TimedOut uint64        `col:"wait_timeouts" about:"those that waited in vain for pool_wait"`
	InQueue  time.Duration `col:"wait_seconds" about:"how long they have waited together, in seconds"`
	Opened   uint64        `col:"opened" about:"connections that were opened, since the start"`
	Failed   uint64        `col:"failed" about:"connections that could not be opened"`
	Rejected uint64        `col:"rejected" about:"connections that were not tried, because one before could not be opened"`
	Received uint64        `col:"received_bytes" about:"bytes from the backend, of connections that have come back"`
	Sent     uint64        `col:"sent_bytes" about:"bytes to the backend, of these"`
}

// Shard is a shard of a table.
type Shard struct {
	Schema   string `col:"table_schema" about:"schema of the table"`
	Table    string `col:"table_name" about:"the sharded table"`
	Shard    string `col:"shard" about:"name of the shard"`
	Position int    `col:"position" about:"place of the shard in its map, from 0"`
	Backend  string `col:"backend" about:"backend where it is"`
	Holds    string `col:"holds" about:"slots, values or intervals that it holds; empty: as many as each other one"`
	Weight   int    `col:"weight" about:"its share, of function consistent; 0 of the others"`
}

// Table is a table, or a whole schema, with its place.
type Table struct {
	Schema    string `col:"table_schema" about:"schema"`
	Table     string `col:"table_name" about:"table; *: every table of the schema that is not named itself"`
	Placement string `col:"placement" about:"single (on one backend), sharded, or broadcast (whole on each of its backends)"`
	Backends  string `col:"backends" about:"backends where it is"`
	Map       string `col:"shard_map" about:"entry of [[shard_maps]]; empty: it has its own shards"`
	Function  string `col:"shard_function" about:"function that chooses the shard"`
	Key       string `col:"key_columns" about:"columns that choose the shard"`
	LookupOf  string `col:"lookup_of" about:"table whose rows it finds, of a lookup table"`
	Changes   string `col:"key_changes" about:"what an UPDATE of the shard key does: deny or move"`
}

// Decision is the end of a transaction.
type Decision struct {
	GTRID    string        `col:"gtrid" about:"name of the transaction"`
	Outcome  string        `col:"outcome" about:"commit or rollback; in doubt: the store could not say"`
	State    string        `col:"state" about:"unfinished: branches may be left; in flight: being carried out; finished"`
	Time     time.Time     `col:"at" about:"when it was decided; of finished ones when that ended"`
	Took     time.Duration `col:"took_seconds" about:"how long the transaction took, in seconds, from its first branch to its end; NULL: unknown"`
	Branches int           `col:"branches" about:"number of branches that it commits; of finished ones of all"`
	Backends string        `col:"backends" about:"their backends, of finished ones 8 at most"`
	Recorded bool          `col:"recorded" about:"1: there is a durable record"`
	OnePhase bool          `col:"one_phase" about:"1: its only branch was not prepared"`
	Session  uint64        `col:"session" about:"id of the session that began it; 0: unknown"`
	Key      string        `col:"commit_key" about:"its commit key; empty without one"`
}

// Plan is a shape of statements in the plan cache.
type Plan struct {
	Statement string        `col:"statement" about:"text of the statements, with ? for each literal"`
	Plan      string        `col:"plan" about:"how they are carried out"`
	Count     uint64        `col:"executions" about:"statements that were answered, since the shape is in the cache"`
	Total     time.Duration `col:"total_seconds" about:"how long they took together, in seconds"`
	Average   time.Duration `col:"average_seconds" about:"how long one took, in seconds; NULL: none was answered"`
	Longest   time.Duration `col:"longest_seconds" about:"how long the slowest took, in seconds"`
	Bytes     int           `col:"bytes" about:"memory that the shape takes in the cache, in bytes"`
}

// SlowStatement is one that took server.slow_statement or longer.
type SlowStatement struct {
	Time      time.Time     `col:"at" about:"when its answer was complete"`
	Took      time.Duration `col:"took_seconds" about:"how long it took, in seconds"`
	Queued    time.Duration `col:"queued_seconds" about:"how long of that it waited for its connections, in seconds"`
	Backends  string        `col:"backends" about:"each backend with how long it kept the statement waiting, in seconds; several may have at the same time"`
	Statement string        `col:"statement" about:"the beginning of its text, with ? for each literal"`
	Plan      string        `col:"plan" about:"how it was carried out"`
	Outline   string        `col:"outline" about:"its plan, as EXPLAIN XAPROXY has it; a line for each step"`
	Rows      int           `col:"row_count" about:"rows that were sent, or changed"`
	Errno     int           `col:"errno" about:"number of the error that it was answered with; 0: it has succeeded"`
	Session   uint64        `col:"session" about:"id of its session"`
	User      string        `col:"user" about:"user of the session"`
	Schema    string        `col:"current_schema" about:"current schema"`
	GTRID     string        `col:"gtrid" about:"its transaction; empty without one that has a branch"`
}

// Setting is a key of the configuration in effect.
type Setting struct {
	Key   string `col:"path" about:"key of the configuration, as in messages about it"`
	Value string `col:"value" about:"its value as TOML has it; *** for passwords and other secrets"`
}

// Event is a line of the log.
type Event struct {
	Time    time.Time `col:"at" about:"when it was logged"`
	Level   string    `col:"level" about:"info, warn or error; audit: what an administrator has done"`
	Message string    `col:"message" about:"what has happened"`
	Backend string    `col:"backend" about:"backend that it is about; empty: none"`
	GTRID   string    `col:"gtrid" about:"transaction that it is about; empty: none"`
	Fields  string    `col:"fields" about:"everything else of the line, as JSON"`
}
