// Command ferricd is an in-memory key-value server that speaks the Redis
// protocol.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/server"
)

const usage = `Usage: ferricd [/path/to/ferricd.conf] [options] [-]
       ferricd - (read config from stdin)
       ferricd healthcheck [--role leader|follower|any] [/path/to/ferricd.conf] [options]
       ferricd check [--fix] DIR
       ferricd dump [--text] DIR
       ferricd backup DIR TO
       ferricd import FILE [/path/to/ferricd.conf] [options]
       ferricd export FILE [--rdb-version 10|12] [/path/to/ferricd.conf] [options]
       ferricd cluster init [--first NODE] [/path/to/ferricd.conf] [options]
       ferricd cluster status [--json] [/path/to/ferricd.conf] [options]
       ferricd cluster handover [NODE] [/path/to/ferricd.conf] [options]
       ferricd -v or --version
       ferricd -h or --help

Options are the parameters of the configuration file, with two dashes before
the name, as in redis-server. They may also be set in the environment:
FERRICD_MAXMEMORY=1gb, or FERRICD_REQUIREPASS_FILE=/run/secrets/password to read
a value from a file. A flag wins over the environment, and that over the file.

Examples:
       ferricd (run the server with default configuration)
       ferricd /etc/ferricd.conf
       ferricd --port 7777 --maxmemory 1gb --maxmemory-policy allkeys-lru
       echo 'maxmemory 128mb' | ferricd -

healthcheck asks the server that the same options would start for PONG: exit
code 0, or 1. With --role leader or follower it must have that part, too: a
server that is alone leads, and a follower must be getting the leader's log.

The data directory:
  check    reads all that is in DIR and says whether a server would start from it
           with nothing lost: exit code 0, or 1. A server may be using DIR. With
           --fix it makes what is left start: it ends the log at its first broken
           record and sets aside what follows, and broken snapshots that the log
           covers. No server may be running then.
  dump     prints what is in DIR as commands, for redis-cli --pipe, or to be read
           with --text. A server may be using DIR.
  backup   copies DIR into the directory TO, which is new or empty, and checks the
           copy. A server may be using DIR; one that starts from TO has the data as
           of one instant. Records that were on their way may be missing.
  import   makes of FILE the data directory that the options name, which must hold
           no data yet. FILE is an .rdb of Redis, its appendonlydir or the manifest
           in it, or an .aof of before Redis 7. A server does the same when it
           starts and finds dump.rdb in a directory without data; it does not start
           from a directory that has a log of Redis and no data.
  export   writes the data directory that the options name into FILE, an .rdb for
           Redis 7.0 and later. Hashes of which fields expire need Redis 7.4 and
           --rdb-version 12. No server may be using the directory.

Several nodes with one leader, which etcd elects; of the options the commands need
etcd-endpoints, its other etcd- options, and cluster-name:
  init      creates the cluster in etcd. The first node that comes leads it, with
            its data if it has any that never was in a cluster; with --first only
            NODE does. When the cluster exists nothing is changed.
  status    shows the nodes: who leads, who may take over, how far each is.
  handover  has NODE lead, or the member of the in-sync set that is furthest, and
            waits until it does: exit code 0, or 1.

docs/configuration.md lists the parameters.
`

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)) }

// run is main without the process around it; it returns the exit code.
func run(args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		if len(args) == 2 && (args[1] == "-h" || args[1] == "--help") {
			args = args[1:] // of a subcommand
		}
		switch args[0] {
		case "-v", "--version":
			fmt.Fprintln(stdout, server.VersionLine())
			return 0
		case "-h", "--help":
			fmt.Fprint(stdout, usage)
			return 0
		case "healthcheck":
			return healthcheck(args[1:], environ, stdin, stderr)
		case "check":
			return check(args[1:], stdout, stderr)
		case "dump":
			return dump(args[1:], stdout, stderr)
		case "backup":
			return backup(args[1:], stdout, stderr)
		case "import":
			return importFile(args[1:], environ, stdin, stdout, stderr)
		case "export":
			return export(args[1:], environ, stdin, stdout, stderr)
		case "cluster":
			return clusterCommand(args[1:], environ, stdin, stdout, stderr)
		}
	}
	cfg, err := load(args, environ, stdin)
	if err == nil {
		err = serve(cfg, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "ferricd:", oneLine(err))
		return 1
	}
	return 0
}

func load(args, environ []string, stdin io.Reader) (*config.Config, error) {
	cfg := config.New()
	cfg.Stdin = stdin
	return cfg, cfg.Load(args, environ)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }

// serve runs a server until a signal or SHUTDOWN ends it.
func serve(cfg *config.Config, stdout io.Writer) error {
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGPIPE)
	s, err := open(cfg, stdout, signals)
	if errors.Is(err, server.ErrStopped) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitForEnd(s, cfg, signals))
	defer cancel()
	go func() {
		for sig := range signals {
			if sig != syscall.SIGHUP { // the second one does not wait
				os.Exit(1)
			}
		}
	}()
	if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return s.Failure()
}

// open starts the server. A signal to end gives up what it is loading.
func open(cfg *config.Config, stdout io.Writer, signals chan os.Signal) (*server.Server, error) {
	stop, opened, watched := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case sig := <-signals:
				if sig != syscall.SIGHUP {
					close(stop)
					<-opened
					signals <- sig // it may have come too late to be seen
					return
				}
			case <-opened:
				return
			}
		}
	}()
	s, err := server.Open(server.Options{Config: cfg, Stdout: stdout, Stop: stop, OwnProcess: true})
	close(opened)
	<-watched
	return s, err
}

// waitForEnd returns when the server is to end, and for how long commands that
// run are waited for.
func waitForEnd(s *server.Server, cfg *config.Config, signals <-chan os.Signal) (drain time.Duration) {
	drain = time.Duration(cfg.Int(config.ShutdownTimeout)) * time.Second
	for {
		select {
		case sig := <-signals:
			how := config.ShutdownOnSIGTERM
			switch sig {
			case syscall.SIGHUP:
				s.Reload()
				continue
			case syscall.SIGINT:
				how = config.ShutdownOnSIGINT
			}
			s.Announce("Received " + sig.String() + ", shutting down")
			if s.BeforeShutdown(cfg.Int(how)) != nil {
				continue
			}
			if cfg.Int(how)&config.ShutdownNow != 0 {
				return 0
			}
			return drain
		case <-s.Done():
			return drain
		}
	}
}
