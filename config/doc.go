// Package config is the table of parameters behind the command line, the
// environment, the configuration file and CONFIG GET, SET and REWRITE. Names,
// types, limits, texts and defaults are redis-server's wherever the meaning is the
// same, so that its configuration files, its tools and its habits work here.
//
// # The table
//
// Every parameter is one row in a params_*.go file. A row that the server reads
// has an exported ID; the other rows exist because a client or a file may name
// them. From the rows come parsing, CONFIG, the order of REWRITE, the suggestion
// for a misspelt name and docs/configuration.md. To add a parameter, add a row
// and run the tests with -update.
//
// # Values
//
// A Config holds the values of one server; there is no state outside it but the
// table, which never changes after start. Reads are one atomic load and may happen
// anywhere. Writes are few: Load before the server starts, Set afterwards.
//
// What a value comes from, strongest first: CONFIG SET, the command line, the
// environment, the configuration file, the default.
//
// # What it is not
//
// It does not know what a parameter is for. Who must act on a change says so with
// OnChange; a change that cannot be acted on is taken back. It prints nothing, and
// it never puts the value of a secret into an error.
package config
