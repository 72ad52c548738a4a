package config

import (
	"path/filepath"
	"strings"
)

// refuse is the error why when the condition holds.
func refuse(when bool, why string) error {
	if when {
		return textError(why)
	}
	return nil
}

func powerOfTwo(v value) error {
	return refuse(v.num&(v.num-1) != 0, "argument must be a power of two")
}

// plainName refuses what is a path; what is the word for what it should be.
func plainName(name, what string, emptyToo bool) func(value) error {
	return func(v value) error {
		if v.text == "" {
			return refuse(!emptyToo, name+" can't be empty")
		}
		return refuse(strings.Contains(v.text, "/"), name+" can't be a path, just a "+what)
	}
}

// parseDir keeps the directory as an absolute path, which stays true whatever
// becomes the working directory.
func parseDir(_ value, args []string) (value, error) {
	dir, err := filepath.Abs(args[0])
	if err != nil {
		return value{}, err
	}
	return value{text: dir}, nil
}

// keepDir: the directory belongs to the process that has opened it.
func keepDir(before, after value) error {
	return refuse(!before.same(after), "the data directory cannot change while the server runs")
}

func checkHostName(v value) error {
	if len(v.text) > 255 {
		return textError("Hostnames must be less than 256 characters")
	}
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	}
	return refuse(strings.ContainsFunc(v.text, odd), "Hostnames may only contain alphanumeric characters, hyphens or dots")
}

// checkProcTitle checks that the template names only variables that redis-server
// has and makes a title that is not empty.
func checkProcTitle(v value) error {
	bad := textError("template format is invalid or contains unknown variables")
	title, rest := "", v.text
	for {
		before, after, found := strings.Cut(rest, "{")
		title += before
		if !found {
			return refuse(strings.TrimSpace(title) == "", string(bad))
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed {
			return bad
		}
		switch name {
		case "listen-addr", "server-mode", "port", "tls-port":
			title += name
		case "title", "unixsocket", "config-file":
			// These may be empty.
		default:
			return bad
		}
		rest = after
	}
}
