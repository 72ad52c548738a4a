package aof

// waits are the channels of those who wait; mu guards them.
type waits struct {
	upTo  uint64        // what the sync under way will make durable
	now   chan struct{} // closed when it has
	later chan struct{} // for those who wait for more: the next one's now
	room  chan struct{} // closed when there is room again
	rooms int           // who waits for it
}

// durable returns the channel to wait on for a position that is not yet durable.
func (w *waits) durable(lsn uint64) <-chan struct{} {
	ch := &w.later
	if lsn <= w.upTo {
		ch = &w.now
	}
	if *ch == nil {
		*ch = make(chan struct{})
	}
	return *ch
}

func (w *waits) begin(target uint64) {
	w.upTo, w.now, w.later = target, w.later, nil
}

func (w *waits) finish() {
	if w.now != nil {
		close(w.now)
		w.now = nil
	}
}

func (w *waits) openRoom() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

// AwaitDurable returns nil when everything up to lsn, which Append has returned, is
// durable. Under EverySec
// that is up to a second later; under the other policies it makes the log durable
// now, once for all who wait. The error is the log's failure, ErrClosed, or
// ErrCanceled when cancel is closed.
func (l *Log) AwaitDurable(lsn uint64, cancel <-chan struct{}) error {
	return l.await(lsn, cancel, false)
}

// Sync makes durable what has been appended, whatever the policy.
func (l *Log) Sync() error { return l.await(l.end.Load(), nil, true) }

func (l *Log) await(lsn uint64, cancel <-chan struct{}, now bool) error {
	for l.durable.Load() < lsn {
		l.mu.Lock()
		if l.durable.Load() >= lsn {
			l.mu.Unlock()
			return nil
		}
		select {
		case <-l.over:
			defer l.mu.Unlock()
			return l.reason()
		default:
		}
		ready := l.waits.durable(lsn)
		if now || Policy(l.policy.Load()) != EverySec {
			l.want = max(l.want, min(lsn, l.end.Load()))
			l.rouse()
		}
		l.mu.Unlock()
		select {
		case <-ready:
		case <-l.over: // once more: the last sync may have been enough
		case <-cancel:
			return ErrCanceled
		}
	}
	return nil
}

// Room tells whether the buffer has room. It always has for a call that has been
// let in: the bound is for admission.
func (l *Log) Room() bool { return !l.full.Load() }

// AwaitRoom waits until there is room. The error is the log's failure, ErrClosed,
// or ErrCanceled when cancel is closed.
func (l *Log) AwaitRoom(cancel <-chan struct{}) error {
	for l.full.Load() {
		l.mu.Lock()
		if !l.full.Load() {
			l.mu.Unlock()
			return nil
		}
		if l.stopped {
			defer l.mu.Unlock()
			return l.reason()
		}
		if l.waits.room == nil {
			l.waits.room = make(chan struct{})
		}
		room := l.waits.room
		l.waits.rooms++
		l.mu.Unlock()
		err := error(nil)
		select {
		case <-room:
		case <-l.over:
		case <-cancel:
			err = ErrCanceled
		}
		l.mu.Lock()
		l.waits.rooms--
		l.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}
