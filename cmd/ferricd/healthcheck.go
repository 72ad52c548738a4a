package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/ferricd/ferricd/config"
	"github.com/ferricd/ferricd/server"
)

// healthTime is how long a healthy server may take to answer PING.
const healthTime = 2 * time.Second

// The parts that a server can be asked to have.
const (
	anyRole      = "any"
	leaderRole   = "leader"
	followerRole = "follower"
)

// healthcheck asks the server that the same flags, file and environment would
// start whether it answers PING, and whether it has the part that --role names:
// exit code 0, or 1 and one line.
func healthcheck(args, environ []string, stdin io.Reader, stderr io.Writer) int {
	role, args, err := takeRole(args)
	var cfg *config.Config
	if err == nil {
		cfg, err = load(args, environ, stdin)
	}
	if err == nil {
		err = healthy(cfg, role)
	}
	if err != nil {
		fmt.Fprintln(stderr, "ferricd healthcheck:", oneLine(err))
		return 1
	}
	return 0
}

// takeRole takes --role out of the arguments; what is left is the server's.
func takeRole(args []string) (role string, rest []string, err error) {
	role = anyRole
	for i := 0; i < len(args); i++ {
		word, given := strings.CutPrefix(args[i], "--role=")
		if args[i] == "--role" {
			i++
			word, given = strings.Join(args[i:min(i+1, len(args))], ""), true
		}
		if !given {
			rest = append(rest, args[i])
			continue
		}
		if word != anyRole && word != leaderRole && word != followerRole {
			return "", nil, fmt.Errorf("--role %q: it is %s, %s or %s", word, leaderRole, followerRole, anyRole)
		}
		role = word
	}
	return role, rest, nil
}

func healthy(cfg *config.Config, role string) error {
	conn, err := dialLocal(cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(healthTime)); err != nil {
		return err
	}
	c := checkup{in: bufio.NewReader(io.LimitReader(conn, 1<<20)), out: conn}
	if pass := cfg.String(config.RequirePass); pass != "" {
		if _, err := c.ask("AUTH", pass); err != nil {
			return err
		}
	}
	pong, err := c.ask("PING")
	if err != nil {
		return err
	}
	if pong != "+PONG" {
		return errors.New("unexpected answer to PING: " + pong)
	}
	if role == anyRole {
		return nil
	}
	info, err := c.ask("INFO", "replication")
	if err != nil {
		return err
	}
	return hasRole(info, role)
}

// hasRole tells why a server of which INFO replication says this is not what is
// wanted. A follower follows only while it gets the leader's log; a server that is
// alone leads.
func hasRole(info, role string) error {
	fields := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	is := map[string]string{"master": leaderRole, "slave": followerRole}[fields["role"]]
	switch {
	case is != role:
		return fmt.Errorf("the server is no %s: its role is %q", role, fields["role"])
	case is == followerRole && fields["master_link_status"] != "up":
		return fmt.Errorf("the server does not get the leader's log: master_link_status is %q", fields["master_link_status"])
	}
	return nil
}

// A checkup is a connection to the server that is looked at.
type checkup struct {
	in  *bufio.Reader
	out io.Writer
}

// ask sends a command and returns its reply: a line, or the text of a bulk string.
func (c *checkup) ask(words ...string) (string, error) {
	request := fmt.Sprintf("*%d\r\n", len(words))
	for _, w := range words {
		request += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := io.WriteString(c.out, request); err != nil {
		return "", err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("no answer to %s: %w", words[0], err)
	}
	line = strings.TrimSpace(line)
	size, bulk := strings.CutPrefix(line, "$")
	if !bulk {
		return line, nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 || n > 1<<20 {
		return "", fmt.Errorf("unexpected answer to %s: %s", words[0], line)
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(c.in, text); err != nil {
		return "", fmt.Errorf("no answer to %s: %w", words[0], err)
	}
	return string(text[:n]), nil
}

// dialLocal connects to where the server of this configuration listens: TCP,
// else TLS, else the unix socket.
func dialLocal(cfg *config.Config) (net.Conn, error) {
	d := net.Dialer{Timeout: healthTime}
	host := server.LocalHost(cfg)
	if port := cfg.Int(config.Port); port > 0 {
		return d.Dial("tcp", net.JoinHostPort(host, strconv.FormatInt(port, 10)))
	}
	if port := cfg.Int(config.TLSPort); port > 0 {
		c, err := server.HealthTLS(cfg)
		if err != nil {
			return nil, err
		}
		return tls.DialWithDialer(&d, "tcp", net.JoinHostPort(host, strconv.FormatInt(port, 10)), c)
	}
	if path := cfg.String(config.UnixSocket); path != "" {
		return d.Dial("unix", path)
	}
	return nil, errors.New("the configuration names no port")
}
