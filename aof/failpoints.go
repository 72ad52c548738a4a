package aof

// Points at which Options.Fail is called, in the order in which a log comes to them.
// A test that ends the process there has a crash at the worst places.
const (
	FailWrite        = "log-write"         // before frames are written
	FailWritten      = "log-written"       // after
	FailSync         = "log-sync"          // before a segment is synced
	FailSynced       = "log-synced"        // after, before anybody is told
	FailCreate       = "log-create"        // before a segment is made
	FailCreated      = "log-created"       // it is there and empty
	FailHeader       = "log-header"        // it has its header
	FailHeaderSynced = "log-header-synced" // its header is durable, its name is not
	FailNamed        = "log-named"         // its name is
	FailRemove       = "log-remove"        // before a segment is removed
	FailRemoved      = "log-removed"       // after, before the directory is synced
)

// Failpoints lists them.
func Failpoints() []string {
	return []string{
		FailWrite, FailWritten, FailSync, FailSynced, FailCreate, FailCreated, FailHeader, FailHeaderSynced, FailNamed,
		FailRemove, FailRemoved,
	}
}
