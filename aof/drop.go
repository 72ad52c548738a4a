package aof

import "path/filepath"

// DropBefore removes the segments that end at or before lsn, oldest first, so that
// what remains has no gap whenever it is interrupted. The segment that is written
// stays, and so does one that Rotate has ended but the writer has not yet sealed.
// An error leaves the log as it was or shorter; the log goes on.
func (l *Log) DropBefore(lsn uint64) error {
	l.dropping.Lock()
	defer l.dropping.Unlock()
	dropped := false
	for {
		l.mu.Lock()
		if len(l.segments) < 2 || l.segments[1].First > lsn {
			l.mu.Unlock()
			break
		}
		first := l.segments[0].First
		l.mu.Unlock()
		l.at(FailRemove)
		if err := l.o.FS.Remove(filepath.Join(l.o.Dir, segmentName(first))); err != nil {
			return err
		}
		l.at(FailRemoved)
		dropped = true
		l.mu.Lock()
		l.segments = append(l.segments[:0], l.segments[1:]...)
		l.mu.Unlock()
	}
	if !dropped {
		return nil
	}
	return l.o.FS.SyncDir(l.o.Dir)
}
