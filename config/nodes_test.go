package config

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a cluster needs, and what goes together, is said before the server starts.
func TestNodesParametersFitTogether(t *testing.T) {
	cluster := "--etcd-endpoints http://10.0.0.1:2379 --replication-secret s --node-name n1 "
	for line, want := range map[string]string{
		"":                                                  "",
		"--appendonly no":                                   "",
		"--replication-secret s":                            "",
		cluster:                                             "",
		cluster + "--port 0":                                "replication-port is not set, and no port is 10000 below 65536",
		cluster + "--port 60000":                            "replication-port is not set, and no port is 10000 below 65536",
		cluster + "--appendonly no":                         "etcd-endpoints needs appendonly yes: the log is what the nodes copy",
		"--etcd-endpoints http://10.0.0.1:2379":             "etcd-endpoints needs a replication-secret, the same on all nodes",
		cluster + "--replication-secret a,b":                "",
		cluster + "--replication-secret a,b,c":              "replication-secret holds more than two secrets",
		cluster + "--etcd-cert c":                           "etcd-cert and etcd-key are set together or not at all",
		cluster + "--etcd-key c":                            "etcd-cert and etcd-key are set together or not at all",
		cluster + "--etcd-cert c --etcd-key k":              "",
		cluster + "--etcd-password p":                       "etcd-password is set and etcd-username is not",
		cluster + "--etcd-username u --etcd-password p":     "",
		cluster + "--port 0 --replication-port 7000":        "",
		cluster + "--port 0 --tls-port 7000":                "",
		cluster + "--replication-port 6379":                 "replication-port is the clients' port",
		cluster + "--tls-port 7000 --replication-port 7000": "replication-port is the clients' port",
		cluster + "--bind --replication-port 7000":          "replication-bind and bind name no address",
		cluster + "--bind --replication-bind 10.0.0.1":      "",
		cluster + "--tls-replication yes":                   "tls-replication needs tls-cert-file and tls-key-file",
		cluster + "--tls-replication yes --tls-cert-file c --tls-key-file k":                      "tls-replication needs tls-ca-cert-file or tls-ca-cert-dir",
		cluster + "--tls-replication yes --tls-cert-file c --tls-key-file k --tls-ca-cert-file a": "",
	} {
		err := loaded(t, strings.Fields(line), nil).CheckNodes()
		if want == "" {
			require.NoError(t, err, line)
			continue
		}
		require.EqualError(t, err, want, line)
	}
}

func TestNodesParametersAreChecked(t *testing.T) {
	odd := " may have letters, digits, dots, hyphens and underscores, 128 at most"
	urls := "etcd-endpoints are URLs such as http://10.0.0.1:2379, with commas between them"
	for line, want := range map[string]string{
		"--etcd-endpoints 10.0.0.1:2379":                  "",
		"--etcd-endpoints http://a:1,https://b:2,[::1]:3": "",
		"--etcd-endpoints a":                              urls,
		"--etcd-endpoints http://a":                       urls,
		"--etcd-endpoints http://a:1,":                    urls,
		"--etcd-endpoints ftp://a:1":                      urls,
		"--etcd-endpoints http://u:p@a:1":                 urls,
		"--etcd-endpoints http://a:1/x":                   urls,
		"--cluster-name a/b":                              "cluster-name" + odd,
		"--cluster-name=":                                 "cluster-name" + odd,
		"--node-name " + strings.Repeat("x", 129):         "node-name" + odd,
		"--node-name " + strings.Repeat("x", 128):         "",
		"--node-name n*":                                  "node-name" + odd,
		"--announce-ip 10.0.0.1":                          "",
		"--announce-ip fe80::1":                           "",
		"--announce-ip n1.example":                        "",
		"--announce-ip a:b":                               "Hostnames may only contain alphanumeric characters, hyphens or dots",
		"--lease-ttl 2":                                   "argument must be between 3 and 60 inclusive",
		"--lease-ttl 61":                                  "argument must be between 3 and 60 inclusive",
		"--min-insync-replicas 0":                         "argument must be between 1 and 2147483647 inclusive",
		"--ack-policy quorum":                             "argument(s) must be one of the following: insync, async",
		"--follower-mode off":                             "argument(s) must be one of the following: proxy, readonly, redirect",
		"--announce-replication-port 65536":               "argument must be between 0 and 65535 inclusive",
		"--insync-timeout 99":                             "argument must be between 100 and 2147483647 inclusive",
	} {
		err := New().Load(strings.Fields(line), nil)
		if want == "" {
			require.NoError(t, err, line)
			continue
		}
		require.ErrorContains(t, err, want, line)
	}
}

func TestNodesDefaults(t *testing.T) {
	c := loaded(t, nil, nil)
	require.False(t, c.Clustered())
	require.Empty(t, c.Endpoints())
	require.Equal(t, c.Addresses(), c.ReplicationAddresses())
	require.EqualValues(t, 16379, c.ReplicationListenPort())
	name, err := c.Node()
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, host, name)
	c = loaded(t, strings.Fields("--etcd-endpoints http://a:1,b:2 --node-name n1 --replication-bind 10.0.0.1 ::1 --replication-port 7000"), nil)
	require.True(t, c.Clustered())
	require.Equal(t, []string{"http://a:1", "b:2"}, c.Endpoints())
	require.Equal(t, []string{"10.0.0.1", "::1"}, c.ReplicationAddresses())
	require.EqualValues(t, 7000, c.ReplicationListenPort())
	name, err = c.Node()
	require.NoError(t, err)
	require.Equal(t, "n1", name)
}

// What nodes prove to each other no client reads, but the file keeps it.
func TestSecretsOfNodesAreNotShown(t *testing.T) {
	path := write(t, "x.conf", "replication-secret s3cret\netcd-password pa55\n")
	c := loaded(t, []string{path}, nil)
	require.Equal(t, "s3cret", c.String(ReplicationSecret))
	require.Equal(t, "pa55", c.String(EtcdPassword))
	for _, pattern := range []string{"*", "replication-secret", "etcd-password", "*secret*"} {
		for _, p := range c.Get(pattern) {
			require.NotContains(t, p.Value, "s3cret", pattern)
			require.NotContains(t, p.Value, "pa55", pattern)
		}
	}
	require.Equal(t, []Pair{{"replication-secret", ""}}, c.Get("replication-secret"))
	require.Contains(t, c.Effective(), Pair{"replication-secret", "(hidden)"})
	require.True(t, Sensitive("etcd-password"))
	require.EqualError(t, c.Set(true, "replication-secret", "x"), "CONFIG SET failed (possibly related to argument 'replication-secret') - can't set immutable config")
	require.NoError(t, c.Set(true, "follower-mode", "redirect"))
	require.NoError(t, c.Rewrite())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), "replication-secret s3cret\netcd-password pa55\n")
	require.Contains(t, string(text), "follower-mode redirect\n")

	secret := write(t, "secret", "from a file\n")
	c = loaded(t, nil, []string{"FERRICD_REPLICATION_SECRET_FILE=" + secret})
	require.Equal(t, "from a file", c.String(ReplicationSecret))
}

// What may change while the server runs, and what may not.
func TestNodesParametersAtRunTime(t *testing.T) {
	c, settable := New(), map[string]bool{}
	for name, value := range map[string]string{"ack-policy": "async", "min-insync-replicas": "2", "follower-mode": "readonly", "replication-copy-rate": "32mb"} {
		require.NoError(t, c.Set(true, name, value))
		settable[name] = true
	}
	require.Equal(t, int64(32<<20), c.Int(ReplicationCopyRate))
	for _, p := range table {
		if p.section == string(nodes) && !settable[p.name] {
			require.True(t, p.has(immutable), p.name)
		}
	}
	require.NoError(t, c.Set(true, "tls-replication", "no"))
	require.ErrorContains(t, c.Set(true, "tls-replication", "yes"), "tls-replication cannot change while the server runs")
}
