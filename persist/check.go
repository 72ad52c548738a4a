package persist

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/ferricd/ferricd/aof"
	"github.com/ferricd/ferricd/aof/datadir"
	"github.com/ferricd/ferricd/internal/vfs"
	"github.com/ferricd/ferricd/snapshot"
)

// Check reads everything in a directory, also one that a server is using, and
// tells a line for each file and then the verdict: whether a server would start
// from it with nothing lost. It changes nothing. The error says why it could not
// be found out.
func Check(fsys vfs.FS, dir string, tell func(line string)) (sound bool, err error) {
	if _, err := fsys.Stat(dir); err != nil {
		return false, err
	}
	p, err := pin(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return checkBare(fsys, dir, tell)
	}
	if err != nil {
		return false, err
	}
	defer p.close()
	c := &check{fs: p, dir: dir, tell: tell}
	if err := c.all(); err != nil {
		return false, err
	}
	c.others(fsys)
	return c.verdict(), nil
}

// Repair does what can be done so that a server starts from a directory: it sets
// aside broken snapshots where the log covers what they hold, ends the log at its
// first broken record, sets aside what follows, and cuts a torn end. It takes the
// directory's lock. It tells what Check tells, what it does, and what there is then.
func Repair(fsys vfs.FS, dir string, tell func(line string)) (sound bool, err error) {
	if _, err := datadir.ReadManifest(fsys, dir); err != nil {
		return false, err // nobody is to make one here
	}
	d, err := datadir.Open(fsys, dir)
	if err != nil {
		return false, err
	}
	defer func() { _ = d.Close() }() // it is only a lock
	if err := finishInstall(fsys, dir, d); err != nil {
		return false, err
	}
	c := &check{fs: fsys, dir: dir, tell: tell}
	if err := c.all(); err != nil {
		return false, err
	}
	sound = c.verdict()
	if c.fatal != nil || sound && c.log.Cut == nil && len(c.aside) == 0 {
		return sound, nil
	}
	// What the cluster believes that this copy of the log has it may lose now.
	if err := d.Update(func(m *datadir.Manifest) { m.NewNode(); m.Files = nil }); err != nil {
		return false, err
	}
	if err := c.repair(); err != nil {
		return false, err
	}
	tell("After the repair:")
	return Check(fsys, dir, tell)
}

// checkBare checks a directory without a manifest.
func checkBare(fsys vfs.FS, dir string, tell func(string)) (bool, error) {
	names, err := dataNames(fsys, dir)
	if err != nil {
		return false, err
	}
	if len(names) == 0 {
		(&check{dir: dir, tell: tell}).others(fsys)
		tell("ok: the directory holds no data; a server starts empty, or takes over a dump.rdb of Redis")
		return true, nil
	}
	tell(fmt.Sprintf("BROKEN: there is %s but no %s, so nobody can tell whose it is; put it back, nothing else repairs this", names[0], datadir.ManifestName))
	return false, nil
}

// A check is what is found in a directory.
type check struct {
	fs   vfs.FS
	dir  string
	tell func(string)

	manifest datadir.Manifest
	segments []aof.Segment    // that count
	fatal    error            // what no repair changes
	aside    []snapshot.File  // broken ones that hide one that can be used
	base     snapshot.Info    // what the log goes on from; no name: nothing
	ends     map[string]int64 // records by segment
	log      aof.Report
}

func (c *check) say(format string, args ...any) { c.tell(fmt.Sprintf(format, args...)) }

func (c *check) options() snapshot.Options { return snapshot.Options{FS: c.fs, Dir: c.dir} }

func (c *check) all() (err error) {
	if c.manifest, err = datadir.ReadManifest(c.fs, c.dir); err != nil {
		return err
	}
	c.say("%s: format %d, cluster %s: sound", datadir.ManifestName, c.manifest.Format, c.manifest.Cluster)
	if err := c.list(); err != nil {
		return err
	}
	if err := c.snapshots(); err != nil {
		return err
	}
	return c.readLog()
}

// list lists the segments that count.
func (c *check) list() error {
	segments, err := aof.Segments(c.fs, c.dir)
	from := c.manifest.PendingLog
	c.segments = slices.DeleteFunc(segments, func(s aof.Segment) bool {
		pending := from != 0 && s.First >= from
		if pending {
			c.say("%s: does not count: appendonly was being switched on, and that had not been acknowledged", s.Name)
		}
		return pending
	})
	return err
}

// snapshots reads all of them and finds the one to begin with.
func (c *check) snapshots() error {
	files, err := snapshot.List(c.options())
	if err != nil {
		return err
	}
	var first error // what is wrong with the newest
	found := false
	for _, f := range files {
		info, err := snapshot.Verify(c.fs, filepath.Join(c.dir, f.Name), nil)
		if err == nil && info.LSN != f.LSN {
			err = &snapshot.BrokenError{File: filepath.Join(c.dir, f.Name), Reason: fmt.Sprintf("its header says position %d", info.LSN)}
		}
		var broken *snapshot.BrokenError
		switch {
		case errors.As(err, &broken):
			c.say("%s: BROKEN: offset %d: %s", f.Name, broken.Offset, broken.Reason)
			if !found {
				c.aside = append(c.aside, f)
				if first == nil {
					first = err
				}
			}
			continue
		case err != nil:
			return err
		}
		c.say("%s: snapshot at position %d, %d keys, %d commands, %d bytes: sound", f.Name, info.LSN, info.Keys, info.Commands, info.Bytes)
		if !found {
			c.base, found = info, true
		}
	}
	c.judge(found, first)
	return nil
}

// judge decides whether there is something that the log can go on from.
func (c *check) judge(found bool, broken error) {
	segments := c.segments
	switch {
	case broken != nil && !covered(segments, c.base.LSN):
		c.fatal = fmt.Errorf("%s cannot be read, and the log does not reach back to an older snapshot", c.aside[0].Name)
	case broken == nil && !found && len(segments) > 0 && segments[0].First > 0:
		c.fatal = fmt.Errorf("the log begins at position %d, and the snapshot that it goes on from is missing", segments[0].First)
	}
}

func (c *check) source() aof.Source {
	return aof.Source{FS: only{c.fs, c.segments}, Dir: c.dir, Cluster: c.manifest.Cluster, From: c.base.LSN}
}

// readLog reads the log from the snapshot on.
func (c *check) readLog() error {
	segments := c.segments
	if c.fatal != nil || len(segments) == 0 {
		c.log.End = c.base.LSN
		for _, s := range segments {
			c.say("%s: log from position %d on, %d bytes: not read", s.Name, s.First, s.Size)
		}
		return nil
	}
	source := c.source()
	c.ends = map[string]int64{}
	at := 0
	found, err := aof.Read(source, func(f *aof.Frame) error {
		for at+1 < len(segments) && f.LSN > segments[at+1].First {
			at++
		}
		c.ends[segments[at].Name]++
		return nil
	})
	c.log = aof.Report{Found: found}
	if errors.As(err, &c.log.Broken) {
		c.log, err = aof.Check(source) // once more, for what follows
	}
	if err != nil {
		return err
	}
	for i, s := range segments {
		c.segment(s, i+1 < len(segments) && segments[i+1].First <= c.base.LSN)
	}
	return nil
}

func (c *check) segment(s aof.Segment, older bool) {
	name := filepath.Join(c.dir, s.Name)
	records := fmt.Sprintf("log from position %d on, %d bytes, %d records behind the snapshot", s.First, s.Size, c.ends[s.Name])
	broken := c.log.Broken
	lost := slices.IndexFunc(c.log.Losses, func(l aof.Loss) bool { return l.File == name })
	switch {
	case older:
		c.say("%s: log from position %d on, %d bytes: not needed, it ends before the snapshot", s.Name, s.First, s.Size)
	case broken != nil && broken.File == name:
		c.say("%s: %s: BROKEN: offset %d: %v", s.Name, records, broken.Offset, broken.Reason)
	case lost >= 0:
		c.say("%s: log from position %d on, %d bytes, %d whole records: follows the broken place", s.Name, s.First, s.Size, c.log.Losses[lost].Records)
	case c.log.Cut != nil && c.log.Cut.File == name:
		c.say("%s: %s: its end is torn: offset %d, %d bytes: %v; a server that runs may be writing it just now",
			s.Name, records, c.log.Cut.Offset, c.log.Cut.Bytes, c.log.Cut.Reason)
	default:
		c.say("%s: %s: sound", s.Name, records)
	}
}

// others names what else lies there.
func (c *check) others(fsys vfs.FS) {
	entries, err := fsys.ReadDir(c.dir)
	if err != nil {
		return // it is only for information
	}
	for _, e := range entries {
		if name := e.Name(); !isData(name) && name != datadir.ManifestName && name != datadir.LockName {
			c.say("%s: no part of the data", name)
		}
	}
}

// verdict tells whether a server starts and nothing is lost.
func (c *check) verdict() bool {
	switch {
	case c.fatal != nil:
		c.say("BROKEN: %v; nothing can be repaired, take a backup", c.fatal)
		return false
	case c.log.Broken == nil && !c.stuck():
		if c.log.Cut != nil {
			c.say("The torn end, %d bytes, is cut off when the server starts; it was not completely written.", c.log.Cut.Bytes)
		}
		if len(c.aside) > 0 {
			c.say("What is broken is not used: the log covers it.")
		}
		c.say("ok: a server starts with the %d keys of position %d and then runs %d records, up to position %d",
			c.base.Keys, c.base.LSN, c.log.Records, c.log.End)
		return true
	}
	if len(c.aside) > 0 {
		c.say("ferricd check --fix sets aside the broken snapshots; nothing is lost with them, the log covers what they hold.")
	}
	for _, l := range c.log.Losses {
		c.say("ferricd check --fix takes out of the log, and keeps in a file that ends in %s: %s", aof.BrokenSuffix, l)
	}
	c.say("BROKEN: no server starts from this; after ferricd check --fix the data is that of position %d", c.log.End)
	return false
}

// stuck tells whether a server would begin with a snapshot that is broken: at the
// start it looks at the beginning and end of files only.
func (c *check) stuck() bool {
	if len(c.aside) == 0 {
		return false
	}
	b, err := begin(c.options())
	return err != nil || b.info.Name != c.base.Name
}

// repair does what the verdict has announced.
func (c *check) repair() error {
	for _, f := range c.aside {
		name := filepath.Join(c.dir, f.Name)
		kept := name + aof.BrokenSuffix
		if _, err := c.fs.Stat(kept); err == nil {
			return fmt.Errorf("%s is there already, from an earlier repair; move it away", kept)
		}
		if err := c.fs.Rename(name, kept); err != nil {
			return err
		}
		c.say("Set aside: %s is now %s.", f.Name, filepath.Base(kept))
	}
	if err := c.fs.SyncDir(c.dir); err != nil {
		return err
	}
	report, err := aof.Repair(c.source())
	for _, l := range report.Losses {
		c.say("Taken out of the log: %s.", l)
	}
	if err == nil && report.Cut != nil {
		c.say("Cut off: %s.", report.Cut)
	}
	return err
}

// only shows those segments of a directory and no others.
type only struct {
	vfs.FS
	segments []aof.Segment
}

func (o only) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := o.FS.ReadDir(name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return aof.IsSegment(e.Name()) && !slices.ContainsFunc(o.segments, func(s aof.Segment) bool { return s.Name == e.Name() })
	}), err
}
