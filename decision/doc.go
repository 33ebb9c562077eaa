// Package decision keeps the commit decisions.
package decision
