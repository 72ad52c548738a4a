// Package vfs is the file layer under everything that is kept on disk: the log,
// snapshots, the manifest. It has as many operations as these need and no more.
//
// OS is the machine's file system. Mem lives in memory and forgets on Crash what
// was not synced, as a machine does that loses its power. Faulty wraps another FS
// and lets a test fail, delay or watch any operation.
//
// What is durable: the bytes of a file after its Sync, the names in a directory
// (of what was created, renamed or removed there) after SyncDir of it. One does not
// imply the other.
//
// The package knows nothing of what is in the files.
package vfs
