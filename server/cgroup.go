package server

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// unlimited is what version 1 of control groups means by any number from here on: the
// kernel rounds its largest one down to pages.
const unlimited = 1 << 62

// groupLimit is how much memory the control groups leave to this process: the least limit of
// the group that it is in and of that one's ancestors, or 0 where nobody has set one. root is
// the root of the file system. What cannot be read sets no limit.
func groupLimit(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	mounts, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return 0
	}
	least := int64(unlimited)
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path; version 2 names no controllers.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		kind, files := "", []string{"memory.limit_in_bytes"}
		switch {
		case parts[0] == "0" && parts[1] == "":
			// Above memory.high the kernel slows the process down: it is a limit as well.
			kind, files = "cgroup2", []string{"memory.max", "memory.high"}
		case slices.Contains(strings.Split(parts[1], ","), "memory"):
			kind = "cgroup"
		default:
			continue
		}
		for top, mounted := range groupMounts(string(mounts), kind) {
			least = min(least, leastLimit(root, top, groupBelow(mounted, parts[2]), files))
		}
	}
	if least == unlimited {
		return 0
	}
	return least
}

// groupMounts finds where groups that speak of memory are mounted, and which group is to be
// seen there: within a container its own, as a rule.
func groupMounts(mountinfo, kind string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(mountinfo) {
		// ID parent device ROOT POINT options … - KIND source OPTIONS
		before, after, ok := strings.Cut(line, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if !ok || len(where) < 5 || len(what) < 3 || what[0] != kind {
			continue
		}
		if kind == "cgroup2" || slices.Contains(strings.Split(what[2], ","), "memory") {
			found[where[4]] = where[3]
		}
	}
	return found
}

// groupBelow is the path of a group from the one that is mounted. A group that is not to be
// seen there leaves the one that is.
func groupBelow(mounted, group string) string {
	if mounted == "/" {
		return path.Clean("/" + group)
	}
	below, ok := strings.CutPrefix(group, mounted)
	if !ok || below != "" && below[0] != '/' {
		return "/"
	}
	return path.Clean("/" + below)
}

// leastLimit reads the limits from group up to where the groups are mounted.
func leastLimit(root fs.FS, top, group string, files []string) int64 {
	least := int64(unlimited)
	for {
		for _, file := range files {
			text, err := fs.ReadFile(root, strings.TrimPrefix(path.Join(top, group, file), "/"))
			if err != nil {
				continue
			}
			// "max" is no number, and sets no limit.
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
				least = min(least, n)
			}
		}
		if group == "/" {
			return least
		}
		group = path.Dir(group)
	}
}
