package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/election"
	"github.com/ferricd/ferricd/server"
)

// How long etcd is given to answer, and a leader to make way.
const (
	etcdTime     = 5 * time.Second
	handoverTime = 20 * time.Second
)

const clusterForm = "cluster init [--first NODE] | status [--json] | handover [NODE], then [/path/to/ferricd.conf] [options]"

// clusterCommand arranges a cluster in etcd, or shows it.
func clusterCommand(args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	do := map[string]func(context.Context, *clusterCall) error{"init": clusterInit, "status": clusterStatus, "handover": clusterHandover}
	if len(args) == 0 || do[args[0]] == nil {
		return failed(stderr, "cluster", errors.New("usage: ferricd "+clusterForm))
	}
	name := "cluster " + args[0]
	c := &clusterCall{stdout: stdout}
	rest, err := c.own(args[0], slices.Clone(args[1:]))
	if err != nil {
		return failed(stderr, name, err)
	}
	cfg, err := load(rest, environ, stdin)
	if err == nil {
		c.name = cfg.String(config.ClusterName)
		err = c.reach(cfg, do[args[0]])
	}
	if err != nil {
		return failed(stderr, name, err)
	}
	return 0
}

// A clusterCall is what one subcommand was told.
type clusterCall struct {
	stdout io.Writer
	admin  *election.Admin
	name   string // of the cluster
	node   string // named on the command line
	json   bool
}

// own takes out of the arguments what is the subcommand's; the rest is the server's.
func (c *clusterCall) own(subcommand string, args []string) (rest []string, err error) {
	switch subcommand {
	case "init":
		i := slices.Index(args, "--first")
		if i < 0 {
			return args, nil
		}
		if i+1 == len(args) || strings.HasPrefix(args[i+1], "-") {
			return nil, errors.New("--first wants the name of a node")
		}
		c.node = args[i+1]
		return slices.Delete(args, i, i+2), election.CheckName(c.node)
	case "status":
		if i := slices.Index(args, "--json"); i >= 0 {
			c.json = true
			args = slices.Delete(args, i, i+1)
		}
	case "handover":
		// What has a slash is the configuration's file.
		if len(args) > 0 && !strings.HasPrefix(args[0], "-") && !strings.Contains(args[0], "/") {
			c.node = args[0]
			return args[1:], election.CheckName(c.node)
		}
	}
	return args, nil
}

func (c *clusterCall) reach(cfg *config.Config, do func(context.Context, *clusterCall) error) error {
	o, err := server.EtcdOptions(cfg)
	if err != nil {
		return err
	}
	if c.admin, err = election.OpenAdmin(o); err != nil {
		return err
	}
	defer func() { _ = c.admin.Close() }()
	if err := do(context.Background(), c); errors.Is(err, election.ErrUnreachable) {
		return fmt.Errorf("%s: %w", strings.Join(o.Endpoints, ", "), err)
	} else if err != nil {
		return err
	}
	return nil
}

func clusterInit(ctx context.Context, c *clusterCall) error {
	ctx, cancel := context.WithTimeout(ctx, etcdTime)
	defer cancel()
	created, err := c.admin.Init(ctx, c.node)
	switch {
	case err != nil:
		return err
	case !created:
		fmt.Fprintf(c.stdout, "cluster %s exists already; nothing is changed\n", c.name)
	case c.node != "":
		fmt.Fprintf(c.stdout, "cluster %s is created; node %s will be the first to lead it\n", c.name, c.node)
	default:
		fmt.Fprintf(c.stdout, "cluster %s is created; the first node to come will lead it\n", c.name)
	}
	return nil
}

func clusterHandover(ctx context.Context, c *clusterCall) error {
	ctx, cancel := context.WithTimeout(ctx, handoverTime)
	defer cancel()
	leader, err := c.admin.Handover(ctx, c.node)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s leads now, at %s\n", leader.Name, leader.Client)
	return nil
}

func clusterStatus(ctx context.Context, c *clusterCall) error {
	ctx, cancel := context.WithTimeout(ctx, etcdTime)
	defer cancel()
	v, err := c.admin.View(ctx)
	if err != nil {
		return err
	}
	if !v.Exists {
		return election.ErrNoCluster
	}
	r := report(c.name, v)
	if c.json {
		e := json.NewEncoder(c.stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.table(c.stdout)
}

// clusterReport is what `cluster status --json` prints.
type clusterReport struct {
	Cluster  string            `json:"cluster"`
	ID       string            `json:"id"`
	First    string            `json:"first,omitempty"`
	Leader   string            `json:"leader"`
	Epoch    uint64            `json:"epoch"`
	Handover string            `json:"handover,omitempty"`
	InSync   []election.Member `json:"insync"`
	Nodes    []nodeReport      `json:"nodes"`
}

type nodeReport struct {
	Name        string `json:"name"`
	ID          string `json:"id"`
	Alive       bool   `json:"alive"`
	Role        string `json:"role"` // leader, follower, or what the node says
	InSync      bool   `json:"insync"`
	Epoch       uint64 `json:"epoch"`
	LSN         uint64 `json:"lsn"`
	Lag         int64  `json:"lag"` // -1: not known
	Client      string `json:"client"`
	Replication string `json:"replication"`
}

// report puts together who is there and who should be.
func report(name string, v election.View) clusterReport {
	r := clusterReport{
		Cluster: name, ID: v.Cluster, First: v.First, Epoch: v.Epoch, Handover: v.Handover,
		InSync: append([]election.Member{}, v.InSync...), Nodes: []nodeReport{},
	}
	if v.Leader != nil {
		r.Leader = v.Leader.Name
	}
	for _, n := range v.Nodes {
		role := n.Role
		switch {
		case v.Leader != nil && *v.Leader == n.Node:
			role = "leader" // etcd knows better than what the node told last
		case role == "leader" || role == "":
			role = "follower"
		}
		r.Nodes = append(r.Nodes, nodeReport{
			Name: n.Name, ID: n.ID, Alive: true, Role: role, InSync: v.Holds(n.Member()),
			Epoch: n.Epoch, LSN: n.LSN, Lag: n.Lag, Client: n.Client, Replication: n.Replication,
		})
	}
	for _, m := range v.InSync {
		if n := v.Node(m.Name); n == nil || n.ID != m.ID {
			r.Nodes = append(r.Nodes, nodeReport{Name: m.Name, ID: m.ID, Role: "gone", InSync: true, Lag: -1})
		}
	}
	slices.SortFunc(r.Nodes, func(a, b nodeReport) int { return strings.Compare(a.Name, b.Name) })
	return r
}

func (r clusterReport) table(to io.Writer) error {
	or := func(s, none string) string {
		if s == "" {
			return none
		}
		return s
	}
	fmt.Fprintf(to, "cluster %s, id %s, leader %s, epoch %d\n", r.Cluster, or(r.ID, "none yet"), or(r.Leader, "none"), r.Epoch)
	if r.ID == "" {
		fmt.Fprintf(to, "it waits for its first node: %s\n", or(r.First, "whichever comes"))
	}
	if r.Handover != "" {
		fmt.Fprintf(to, "%s is to lead next\n", r.Handover)
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tROLE\tEPOCH\tIN-SYNC\tLSN\tLAG\tCLIENTS\tNODES")
	for _, n := range r.Nodes {
		inSync, lag := "no", "-"
		if n.InSync {
			inSync = "yes"
		}
		if n.Lag >= 0 {
			lag = strconv.FormatInt(n.Lag, 10)
		}
		epoch, lsn := "-", "-"
		if n.Alive {
			epoch, lsn = strconv.FormatUint(n.Epoch, 10), strconv.FormatUint(n.LSN, 10)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Role, epoch, inSync, lsn, lag, or(n.Client, "-"), or(n.Replication, "-"))
	}
	return w.Flush()
}
