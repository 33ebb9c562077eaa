// Package doctor looks whether the backends are as the configuration says: settings, schemas, tables, their definitions, and rows.
//
// Examine asks every backend and returns Findings. It changes nothing but what Options.Fix lets it make: tables of xaproxy's own that
// are missing. xaproxy check, by contrast, reads the configuration alone.
package doctor
