// Package rdb speaks the format in which Redis keeps values in files and DUMP
// hands them out, RDB.
//
//	Encoder   a store.Contents that writes a value; Payload frames it for DUMP
//	Restore   reads such a payload and tells a store.Contents
//	Writer    writes a file that redis-server loads
//	Reader    reads a file key by key
//
// It reads every type and encoding that Redis has written up to version 12 (7.4)
// but modules. It writes the plain forms, which every version since 7.0 loads and
// gives the compact encodings where they fit; a hash of which fields expire has a
// form only from 7.4 on.
//
// Bytes are not trusted: what cannot be right is an error, nothing is made room for
// because a length says so, and what a value consists of is told while it is
// read. So an error may come after parts were told. What no value can consist of,
// like a member that is there twice, is for the Contents to refuse.
//
// It knows no key space, no command and no file names.
package rdb
