package config

import (
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
)

// Clustered tells whether the parameters make this server a node of a cluster.
func (c *Config) Clustered() bool { return c.String(EtcdEndpoints) != "" }

// Endpoints returns the URLs of etcd.
func (c *Config) Endpoints() []string {
	var list []string
	for part := range strings.SplitSeq(c.String(EtcdEndpoints), ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// Node returns the name of this node.
func (c *Config) Node() (string, error) {
	if name := c.String(NodeName); name != "" {
		return name, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", errors.New("node-name is not set, and the host has no name: " + err.Error())
	}
	if err := checkNodeName("the host's name, for want of a node-name,", false)(value{text: name}); err != nil {
		return "", err
	}
	return name, nil
}

// ReplicationAddresses returns where other nodes are listened for; the form is that
// of Addresses.
func (c *Config) ReplicationAddresses() []string {
	if own := Fields(c.String(ReplicationBind)); len(own) > 0 {
		return own
	}
	return c.Addresses()
}

// replicationAbove is how far the nodes' port is above the clients'.
const replicationAbove = 10000

// ReplicationListenPort returns the port on which other nodes are listened for, 0
// if no parameter says which.
func (c *Config) ReplicationListenPort() int64 {
	if port := c.Int(ReplicationPort); port > 0 {
		return port
	}
	for _, id := range []ID{Port, TLSPort} {
		if port := c.Int(id); port > 0 && port+replicationAbove <= 65535 {
			return port + replicationAbove
		}
	}
	return 0
}

// CheckNodes tells what the parameters of a cluster lack, or how they contradict
// others. It is asked once, before the server starts.
func (c *Config) CheckNodes() error {
	if !c.Clustered() {
		return nil
	}
	has := func(id ID) bool { return c.String(id) != "" }
	for _, rule := range []struct {
		broken bool
		why    string
	}{
		{!has(ReplicationSecret), "etcd-endpoints needs a replication-secret, the same on all nodes"},
		{strings.Count(c.String(ReplicationSecret), ",") > 1, "replication-secret holds more than two secrets"},
		{!c.Bool(AppendOnly), "etcd-endpoints needs appendonly yes: the log is what the nodes copy"},
		{has(EtcdCert) != has(EtcdKey), "etcd-cert and etcd-key are set together or not at all"},
		{!has(EtcdUsername) && has(EtcdPassword), "etcd-password is set and etcd-username is not"},
		{c.ReplicationListenPort() == 0, "replication-port is not set, and no port is 10000 below 65536"},
		{c.ReplicationListenPort() == c.Int(Port) || c.ReplicationListenPort() == c.Int(TLSPort), "replication-port is the clients' port"},
		{len(c.ReplicationAddresses()) == 0, "replication-bind and bind name no address"},
		{c.Bool(TLSReplication) && (!has(TLSCertFile) || !has(TLSKeyFile)), "tls-replication needs tls-cert-file and tls-key-file"},
		{c.Bool(TLSReplication) && !has(TLSCACertFile) && !has(TLSCACertDir), "tls-replication needs tls-ca-cert-file or tls-ca-cert-dir"},
	} {
		if rule.broken {
			return errors.New(rule.why)
		}
	}
	_, err := c.Node()
	return err
}

// checkEndpoints refuses what is no list of URLs, or of host:port.
func checkEndpoints(v value) error {
	if v.text == "" {
		return nil
	}
	for part := range strings.SplitSeq(v.text, ",") {
		part = strings.TrimSpace(part)
		if !strings.Contains(part, "://") {
			part = "http://" + part
		}
		u, err := url.Parse(part)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Port() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			return textError("etcd-endpoints are URLs such as http://10.0.0.1:2379, with commas between them")
		}
	}
	return nil
}

// checkNodeName refuses what cannot stand as one step of a key of etcd, or as one
// word of a reply.
func checkNodeName(what string, emptyToo bool) func(value) error {
	const longest = 128
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	}
	return func(v value) error {
		bad := v.text == "" && !emptyToo || len(v.text) > longest || strings.ContainsFunc(v.text, odd)
		return refuse(bad, what+" may have letters, digits, dots, hyphens and underscores, 128 at most")
	}
}

// checkAnnounced refuses what is neither an address nor the name of a host.
func checkAnnounced(v value) error {
	if net.ParseIP(v.text) != nil {
		return nil
	}
	return checkHostName(v)
}

// keep refuses a change while the server runs.
func keep(name string) func(before, after value) error {
	return func(before, after value) error {
		return refuse(!before.same(after), name+" cannot change while the server runs")
	}
}
