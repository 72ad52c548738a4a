package command

// What a node answers because of its part in a cluster. All but ErrDeposed and
// ErrRedirect are sent only where the command certainly did not run: clients try
// again by themselves.
const (
	ErrMasterDown WireError = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
	ErrNoReplicas WireError = "NOREPLICAS Not enough good replicas to write."
	ErrNoMaster   WireError = "NOMASTERLINK Can't SYNC while not connected with my master"
	ErrDeposed    WireError = "INDOUBT this node does not lead any more: whether the last writes of this connection will last is not known"
	ErrCutOff     WireError = "INDOUBT the link to the leader broke: whether the last commands of this connection ran is not known"
)

// ErrRedirect tells a client that has said CLIENT CAPA redirect where the leader is.
func ErrRedirect(host string, port int) WireError { return Errorf("REDIRECT %s:%d", host, port) }
