package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ferricd/ferricd/cluster"
	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/proxy"
	"github.com/ferricd/ferricd/router"
)

// A server that is a node of a cluster. Without etcd-endpoints nothing of this runs.

// standBy begins as a follower, before anybody is let in.
func (s *Server) standBy() error {
	if s.cfg.Clustered() {
		return s.SetRole(router.RoleFollower)
	}
	if member, _ := s.keeper.Member(); member {
		return errAlone
	}
	return nil
}

// errAlone: what it wrote alone nobody could tell from what the others have written
// since, so it could never come back.
var errAlone = errors.New("the data directory is that of a node of a cluster: start it with etcd-endpoints, " +
	"or start a copy that ferricd backup has made")

// openNode opens the sockets for other nodes and makes this server's part, which
// begins with startNode.
func (s *Server) openNode() error {
	if !s.cfg.Clustered() {
		return nil
	}
	accepts, dials, err := s.linkTLS()
	if err != nil {
		return err
	}
	listeners, err := s.listenForNodes()
	if err != nil {
		return err
	}
	me, err := s.whoAmI(listeners[0])
	if err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	s.node = cluster.New(cluster.Options{
		Config: s.cfg, Log: s.log, Keeper: s.keeper, Router: s.router, Runner: s.runner, Sink: s.nodeSink, Me: me,
		Server: accepts, Client: dials,
		Elect:    func(healthy func() bool) (election.Coordinator, error) { return s.elect(me, healthy) },
		Proxied:  s.PassedOn,
		Switched: s.AnnounceSwitch,
		Moved:    s.FollowersMoved,
		Failed:   s.failed,
	})
	for _, ln := range listeners {
		s.node.Listen(ln)
	}
	s.proxy = s.newProxy(me.Name)
	s.router.SetStandby(router.Standby{Fresh: s.node.Fresh, Leader: s.node.LeaderAddress, Forward: s.proxy})
	s.join(s.node)
	s.watchNodes()
	return nil
}

// startNode begins this server's part: its data is loaded.
func (s *Server) startNode() error {
	if s.node == nil {
		return nil
	}
	return s.node.Start()
}

func (s *Server) elect(me election.Node, healthy func() bool) (election.Coordinator, error) {
	if s.elects != nil {
		return s.elects(me, healthy)
	}
	o, err := EtcdOptions(s.cfg)
	if err != nil {
		return nil, err
	}
	o.Node, o.Healthy, o.Log = me, healthy, s.log
	return election.Open(o)
}

// watchNodes makes CONFIG SET take effect.
func (s *Server) watchNodes() {
	s.cfg.OnChange(s.node.ApplyPolicy, config.AckPolicy)
	s.cfg.OnChange(func() error {
		s.node.Gate()
		return nil
	}, config.MinInSyncReplicas)
}

// failed ends the server: it cannot be what its parameters say.
func (s *Server) failed(err error) {
	s.failure.CompareAndSwap(nil, &err)
	s.stop()
}

// Failure is why the server has ended by itself, or nil.
func (s *Server) Failure() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// listenForNodes opens the sockets that the parameters name.
func (s *Server) listenForNodes() (list []net.Listener, err error) {
	if s.addr != "" {
		ln, err := net.Listen("tcp", s.addr)
		if err != nil {
			return nil, err
		}
		return []net.Listener{ln}, nil
	}
	port := strconv.FormatInt(s.cfg.ReplicationListenPort(), 10)
	for _, host := range s.cfg.ReplicationAddresses() {
		host, optional := strings.CutPrefix(host, "-")
		if host == "*" {
			host = ""
		}
		ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
		switch {
		case err == nil:
			list = append(list, ln)
		case !optional:
			return nil, errors.Join(fmt.Errorf("can't listen for other nodes: %w", err), closeAll(list))
		}
	}
	if len(list) == 0 {
		return nil, errors.New("can't listen for other nodes: no address of replication-bind is this machine's")
	}
	return list, nil
}

func closeAll(list []net.Listener) (err error) {
	for _, ln := range list {
		err = errors.Join(err, ln.Close())
	}
	return err
}

// whoAmI is this node as others are to see it.
func (s *Server) whoAmI(ln net.Listener) (election.Node, error) {
	name, err := s.cfg.Node()
	if err != nil {
		return election.Node{}, err
	}
	clients, nodes := s.cfg.Int(config.AnnouncePort), s.cfg.Int(config.AnnounceReplicationPort)
	if clients == 0 {
		clients = s.port.Load()
	}
	if clients == 0 {
		clients = s.cfg.Int(config.TLSPort)
	}
	bound := ln.Addr().(*net.TCPAddr)
	if nodes == 0 {
		nodes = int64(bound.Port)
	}
	host := s.announced(s.cfg.Addresses())
	link := s.announced(s.cfg.ReplicationAddresses())
	return election.Node{
		Name: name, ID: s.keeper.Node(), Incarnation: randomHex(16),
		Client:      net.JoinHostPort(host, strconv.FormatInt(clients, 10)),
		Replication: net.JoinHostPort(link, strconv.FormatInt(nodes, 10)),
	}, nil
}

// announced is the address by which others reach what is bound to the first of these.
func (s *Server) announced(bound []string) string {
	if host := s.cfg.String(config.AnnounceIP); host != "" {
		return host
	}
	for _, host := range bound {
		host = strings.TrimPrefix(host, "-")
		if ip := net.ParseIP(host); host != "" && host != "*" && (ip == nil || !ip.IsUnspecified()) {
			return host
		}
	}
	return s.towardsEtcd()
}

// towardsEtcd is the address of this machine that etcd sees. Nothing is sent.
func (s *Server) towardsEtcd() string {
	for _, endpoint := range s.cfg.Endpoints() {
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" {
			u = &url.URL{Host: endpoint}
		}
		nc, err := net.Dial("udp", u.Host)
		if err != nil {
			continue
		}
		host, _, err := net.SplitHostPort(nc.LocalAddr().String())
		_ = nc.Close()
		if err == nil {
			return host
		}
	}
	return "127.0.0.1"
}

// newProxy makes what takes this node's clients to the leader.
func (s *Server) newProxy(node string) *proxy.Proxy {
	wait := time.Duration(s.cfg.Int(config.ProxyWait)) * time.Millisecond
	if wait == 0 {
		wait = -1 // not at all
	}
	return proxy.New(proxy.Options{Dial: s.node.DialLeader, Leader: s.node.Leadership, Node: node, Wait: wait, Log: s.log})
}

// letProxiedGo waits until other nodes have taken their clients to the next leader. What
// they still send here is answered MASTERDOWN, and they send it there; on a connection
// that was closed nobody would know whether it had run.
func (s *Server) letProxiedGo(ctx context.Context) {
	if s.wire == nil || s.node.Leads() {
		return
	}
	const most = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for s.passesOn() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// passesOn tells whether another node's client is connected here.
func (s *Server) passesOn() bool {
	for c := range s.wire.Conns() {
		if c.Origin() != nil {
			return true
		}
	}
	return false
}
