// Package check counts what a client program finds as it should be.
package check

import (
	"fmt"
	"log"
	"os"
	"reflect"
	"strconv"
)

var count int

// Equal ends the program unless got is want.
func Equal(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		log.Fatalf("%s: got %v (%T), want %v (%T)", what, got, got, want, want)
	}
	count++
}

// OK ends the program if something failed.
func OK(what string, err error) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

// Base is the first id in accounts.
func Base() int64 {
	n, err := strconv.ParseInt(os.Getenv("DB_BASE"), 10, 64)
	OK("DB_BASE", err)
	return n
}

// DSN is a data source name for a schema.
func DSN(schema, params string) string {
	return fmt.Sprintf("%s:%s@tcp(%s:%s)/%s?parseTime=true&maxAllowedPacket=0&%s",
		os.Getenv("DB_USER"), os.Getenv("DB_PASSWORD"), os.Getenv("DB_HOST"), os.Getenv("DB_PORT"), schema, params)
}

// Done reports the checks.
func Done() { fmt.Printf("ok %d checks\n", count) }
