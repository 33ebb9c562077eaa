package dialect

// information are the tables of information_schema.
var information = map[string]*Table{}
