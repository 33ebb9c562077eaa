package dialect

import "fmt"

// Options are what a translation depends on beside the text.
type Options struct {
	Catalog Catalog
	Schema  string // the current database, "" for none

	// sql_mode
	ANSIQuotes, NoBackslashEscapes, PipesAsConcat bool
	LenientGroupBy                                bool // without ONLY_FULL_GROUP_BY
	Lenient                                       bool // without STRICT_TRANS_TABLES: writes are refused
	NoAutoValueOnZero                             bool

	// FoundRows is CLIENT_FOUND_ROWS: an UPDATE counts the rows that it found, not those that it changed.
	FoundRows bool
	// Matched: an UPDATE says both numbers; see Step.
	Matched bool

	// Clock: the session has set its own time, which xaproxy.now() is.
	Clock bool

	// Params are the classes of the values bound to the ?, for a statement about to be executed. Nil when it is being prepared: each
	// parameter then has the class that its place asks for, which Param.Class says. A value of another class needs a translation
	// of its own, with Params.
	Params []Class

	// What the session's functions answer.
	Version      string // VERSION()
	User         string // USER(), "name@host"
	ConnectionID uint64
	LastInsertID uint64
	RowCount     int64
	// Variable is the value of @@name, as text; nil or false: such a variable is refused.
	Variable func(name string) (string, bool)
	// UserVariable is the value of @name; nil: user variables are refused.
	UserVariable func(name string) UserValue
}

// Catalog says what tables there are.
type Catalog interface {
	// Table is the table or view of this name; false if there is none.
	Table(schema, name string) (*Table, bool)
}

// Table is a table as MySQL would describe it.
type Table struct {
	Schema, Name string
	View         bool
	Columns      []*Column
	Referenced   bool     // a foreign key refers to it
	Bound        []string // columns of foreign keys, its own and those that refer to it
	Keys         []Key    // the primary key first, if there is one; only keys of whole columns
	Comment      string
}

// Column is a column of a table.
type Column struct {
	Name string
	Type Type
	PG   string // type in PostgreSQL, as format_type writes it: "character varying(10)", "boolean", "citext"
	// PGCollation is the column's collation in PostgreSQL: "C", xaproxy.utf8mb4_0900_ai_ci …, "" for the database's or none.
	PGCollation string
	NotNull     bool
	Identity    bool   // AUTO_INCREMENT
	Default     string // expression of PostgreSQL's, "" for none
	OnUpdate    bool   // ON UPDATE CURRENT_TIMESTAMP
	// Generated is a generated column, which cannot be written. Default is its expression. Virtual says that it is not stored.
	Generated, Virtual bool
	Comment            string
}

// Key is an index.
type Key struct {
	Name    string // PRIMARY for the primary key
	Primary bool
	Unique  bool
	Columns []string
}

// Quoted is the table's name with its schema, as PostgreSQL writes it.
func (t *Table) Quoted() string { return tableName(t) }

// Class is the class of a value that a client binds.
type Class uint8

// The classes of parameters.
const (
	AnyClass Class = iota
	IntClass
	DecimalClass
	DoubleClass
	StringClass
	BytesClass
	DateClass     // without time
	DatetimeClass // DATETIME and TIMESTAMP
	TimeClass
	NullClass
)

var classNames = [...]string{"any", "int", "decimal", "double", "string", "bytes", "date", "datetime", "time", "null"}

func (c Class) String() string { return classNames[c] }

// Statement is what one statement of the client becomes.
type Statement struct {
	// Steps are run in this order. If there are several they are one unit: behind a savepoint, or in a transaction of their own.
	Steps []Step
	// Params is the number of ? in the client's text.
	Params int
	// Changes are the tables that it changes the rows of.
	Changes []*Table
	// Numbers is the sequence, as an expression of PostgreSQL's, that an INSERT takes numbers for AUTO_INCREMENT from; "": it takes none.
	Numbers string
	// Given are the values that it gives to columns by themselves, at most maxGiven of them; nil: there are none.
	Given func() []Given
	// Ignored is of an INSERT IGNORE of rows: they may be run by its steps in place of Steps, which passes over rows without saying which.
	Ignored *Ignored
	// Passed is of an UPDATE IGNORE or DELETE IGNORE, and is run in place of Steps.
	Passed *Passed
}

// StepKind says what a step answers.
type StepKind uint8

// The kinds of steps.
const (
	Rows    StepKind = iota // a result set
	Count                   // a number of affected rows
	DDL                     // nothing; ends the transaction, as with MySQL
	Session                 // nothing; Text may be empty, see Step.Use
	Show                    // a result set that describes the schema
	Into                    // a row at most, whose values the user variables Step.Into get
)

var kindNames = [...]string{"rows", "count", "ddl", "session", "show", "into"}

func (k StepKind) String() string { return kindNames[k] }

// Step is one statement of PostgreSQL.
type Step struct {
	Kind StepKind
	Text string
	// Params are those of Text: Params[n-1] is $n.
	Params []Param
	// Columns are those of the result set, as MySQL names and types them. Of a Count they are empty.
	Columns []ResultColumn
	// InsertID is the column of RETURNING that has the number of AUTO_INCREMENT, -1 for none. LAST_INSERT_ID() is the first that is not NULL.
	InsertID int
	// Affected is the column of RETURNING whose sum is the number of affected rows, -1 if it is the number in the command tag.
	Affected int
	// Matched is the column, counted from 1, with the number of rows that an UPDATE has found; 0: it is not known.
	Matched int
	// AffectedPlus is added to the number of affected rows.
	AffectedPlus int
	// InsertIDGiven is the column of RETURNING that is true if the client gave the number itself: the OK packet has it, and LAST_INSERT_ID()
	// stays what it was. It is -1 if the number is always PostgreSQL's.
	InsertIDGiven int
	// Into are the names of user variables, in lower case.
	Into []string
	// Use is the new current database of a USE.
	Use string
}

// Param is a parameter of a step.
type Param struct {
	From  int    // which ? of the client's, from 0
	Cast  string // type of PostgreSQL's that the text has it cast to
	Class Class  // the class that the value must have; NULL always may be bound
}

// ResultColumn is what MySQL tells of a column of a result.
type ResultColumn struct {
	Name string // the name, which PostgreSQL may have cut
	Type Type
	// The table and column that it is, empty for an expression.
	Schema, Table, OrgTable, OrgName string
	NotNull                          bool
}

// Error is a refusal, or what MySQL itself would say.
type Error struct {
	Errno uint16
	State string // SQLSTATE
	At    int    // byte of the client's text, -1 if none
	What  string
	Do    string // what to do, "" if MySQL would say the same
}

func (e *Error) Error() string {
	s := e.What
	if e.At >= 0 && e.Do != "" {
		s += fmt.Sprintf(" at position %d", e.At+1)
	}
	if e.Do != "" {
		s += ": " + e.Do
	}
	return s
}

// raw tells the hint that has a statement sent as it is.
const raw = "say it in words that both have, or in PostgreSQL's own behind /* xaproxy: dialect=postgres */"

// Translate turns one statement of MySQL into what PostgreSQL is to be sent. Errors are of type *Error.
func Translate(sql string, o Options) (Statement, error) {
	t, err := newTranslator(sql, o)
	if err != nil {
		return Statement{}, err
	}
	if err := t.statement(); err != nil {
		return Statement{}, err
	}
	for _, step := range t.steps {
		if name := longName(step.Text); step.Kind == DDL && name != "" {
			return Statement{}, &Error{Errno: 1059, State: "42000", At: -1, What: "Identifier name '" + name + "' is too long: PostgreSQL has names of at most 63 bytes, and keys and checks are called by their table and themselves"}
		}
	}
	s := Statement{Steps: t.steps, Params: t.params, Numbers: t.numbersFrom, Ignored: t.ignored, Passed: t.chosen}
	if t.writes {
		s.Changes = t.targets
	}
	if len(t.gives) > 0 {
		s.Given = t.given
	}
	return s, nil
}
