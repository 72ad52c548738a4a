// Package failover holds the tests that let clusters of real processes fail: an etcd,
// three ferricd, and between them links that can be cut.
//
//	go test ./internal/failover             the selection that CI runs
//	make failover                           all of it, some 20 minutes
//	make failover-bench                     what README says about times and throughput
//
// Without etcd in the PATH the tests are skipped. They need Linux: /proc, and signals
// that are sent when a parent dies.
//
// # How a test is built
//
// newCluster starts etcd and the nodes n1, n2, n3. Each node reaches etcd through a
// faultnet.Proxy of its own, and announces one as its replication port, so that node
// and etcd, and each pair of nodes, can be cut apart by themselves. Whose connection
// comes in at a replication proxy is found in /proc. Clients connect to the nodes
// directly.
//
// A load is several clients, each at a node of its own, that set and read registers,
// increment counters and append to lists, and record what they have sent and what came
// back. An answer says that a call ran (ok), that it certainly did not (READONLY,
// NOREPLICAS, MASTERDOWN, TRYAGAIN, LOADING, MISCONF, or nobody to connect to), or
// nothing (INDOUBT, the end of the connection, no answer in time).
//
// # What is checked
//
// After each fault, when the cluster is whole again:
//
//   - the history is linearizable (Porcupine), where calls that did not run have no
//     effect, and those of unknown outcome may have one at any time after they were sent;
//   - every element whose RPUSH was acknowledged is at the place in the list that
//     was answered, none is there twice, and none that was refused is there at all;
//   - a counter is at least as high as the INCRs that were acknowledged, and at most
//     higher by those of unknown outcome;
//   - at one position all nodes have equal data (DEBUG DIGEST) and equal log files.
//
// The checks are tested themselves, with histories that are wrong.
package failover
