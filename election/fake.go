package election

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Fake is an etcd in memory that several nodes share, for tests. What runs over it
// is what runs over the real one; only the store is another. Its clock is package
// time's, so in a synctest bubble time is the test's.
//
// Its faults are those of a real one: a node that is cut off, calls that hang, replies
// that are lost after the work was done, leases that end, data that is gone.
type Fake struct {
	mu       sync.Mutex
	start    time.Time
	revision int64
	entries  map[string]entry
	leases   map[int64]*fakeLease
	last     int64
	watches  map[*fakeDriver]map[int]func()
	frozen   chan struct{} // not nil: calls hang until it is closed
	faults   map[string]*faults

	onCommit atomic.Pointer[func(node string, t txn)] // called before a transaction is sent
}

// faults are those of the way between one node and etcd.
type faults struct {
	cut           bool
	deaf, failing int // how many more
	slow          time.Duration
}

type fakeLease struct {
	node    string
	ttl     time.Duration
	renewed time.Time
	timer   *time.Timer
}

// NewFake returns an etcd that holds nothing.
func NewFake() *Fake {
	return &Fake{
		start: time.Now(), revision: 1,
		entries: map[string]entry{}, leases: map[int64]*fakeLease{},
		watches: map[*fakeDriver]map[int]func(){}, faults: map[string]*faults{},
	}
}

// Open starts a node's part in the cluster, as the function Open does. Any lease time will do.
func (f *Fake) Open(o Options) (Coordinator, error) {
	if err := o.complete(true); err != nil {
		return nil, err
	}
	if o.TTL <= 0 {
		return nil, errors.New("a lease lasts some time")
	}
	return start(o, f.driver(o.Cluster, o.Node.Name), f.now), nil
}

// Admin returns an Admin, whose request for a hand-over ends after twice ttl.
func (f *Fake) Admin(cluster string, ttl time.Duration) *Admin {
	return &Admin{d: f.driver(cluster, ""), ttl: ttl}
}

// Init creates a cluster.
func (f *Fake) Init(cluster, first string) error {
	_, err := f.Admin(cluster, time.Second).Init(context.Background(), first)
	return err
}

// Cut keeps a node from reaching etcd, or lets it again. Its calls fail at once.
func (f *Fake) Cut(node string, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(node).cut = cut
}

// LoseReplies has the next n transactions of a node carried out, and answered by an
// error all the same.
func (f *Fake) LoseReplies(node string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(node).deaf = n
}

// FailNext has the next n calls of a node fail without being carried out.
func (f *Fake) FailNext(node string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(node).failing = n
}

// Delay has each call of a node take d: half of it to etcd, half of it back. A
// transaction that is on its way arrives even if its caller has given up.
func (f *Fake) Delay(node string, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(node).slow = d
}

// Freeze has all calls hang until Thaw, or until their contexts end. Leases end all
// the same.
func (f *Fake) Freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.frozen == nil {
		f.frozen = make(chan struct{})
	}
}

// Thaw ends Freeze.
func (f *Fake) Thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.frozen != nil {
		close(f.frozen)
		f.frozen = nil
	}
}

// Expire ends all leases of a node, as if their time were over.
func (f *Fake) Expire(node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, l := range f.leases {
		if l.node == node {
			f.expire(id)
		}
	}
}

// Wipe takes all data and all leases away, as when etcd's disk is lost.
func (f *Fake) Wipe() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.leases {
		l.timer.Stop()
	}
	clear(f.leases)
	clear(f.entries)
	f.revision = 1
	f.wake()
}

// Put writes a key of a cluster as an administrator would, without a lease.
func (f *Fake) Put(cluster, key, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision++
	f.put(prefixOf(cluster)+key, value, 0)
	f.wake()
}

// Skip makes the revision n higher, as other users of etcd do.
func (f *Fake) Skip(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision += n
}

// Backup returns all data, for Restore.
func (f *Fake) Backup() func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	revision, entries := f.revision, maps.Clone(f.entries)
	return func() {
		f.Wipe()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.revision = revision
		for key, e := range entries {
			if e.lease == 0 {
				f.entries[key] = e
			}
		}
		f.wake()
	}
}

func (f *Fake) now() int64 { return int64(time.Since(f.start)) }

// The rest is called with mu held.

func (f *Fake) of(node string) *faults {
	if f.faults[node] == nil {
		f.faults[node] = &faults{}
	}
	return f.faults[node]
}

func (f *Fake) wake() {
	for _, watches := range f.watches {
		for _, wake := range watches {
			wake()
		}
	}
}

func (f *Fake) put(key, value string, lease int64) {
	e, ok := f.entries[key]
	if !ok {
		e.created = f.revision
	}
	e.value, e.modified, e.lease = []byte(value), f.revision, lease
	f.entries[key] = e
}

func (f *Fake) expire(id int64) {
	l := f.leases[id]
	if l == nil {
		return
	}
	l.timer.Stop()
	delete(f.leases, id)
	f.revision++
	for key, e := range f.entries {
		if e.lease == id {
			delete(f.entries, key)
		}
	}
	f.wake()
}

func (f *Fake) driver(cluster, node string) *fakeDriver {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := &fakeDriver{f: f, prefix: prefixOf(cluster), node: node, faults: f.of(node)}
	f.watches[d] = map[int]func(){}
	return d
}

// fakeDriver is one node's way to a Fake. The Fake's mu guards it.
type fakeDriver struct {
	f            *Fake
	prefix, node string
	faults       *faults
	watchers     int
}

var errFault = errors.New("a fault of the test")

// travel is one way to etcd, or back.
func (d *fakeDriver) travel(ctx context.Context) error {
	d.f.mu.Lock()
	slow := d.faults.slow / 2
	d.f.mu.Unlock()
	if slow == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(slow)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter waits while etcd is frozen and returns with the mutex held, or an error.
func (d *fakeDriver) enter(ctx context.Context) error {
	if err := d.travel(ctx); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		d.f.mu.Lock()
		frozen := d.f.frozen
		switch {
		case d.faults.cut:
			d.f.mu.Unlock()
			return errFault
		case frozen == nil && d.faults.failing > 0:
			d.faults.failing--
			d.f.mu.Unlock()
			return errFault
		case frozen == nil:
			return nil
		}
		d.f.mu.Unlock()
		select {
		case <-frozen:
		case <-ctx.Done():
		}
	}
}

func (d *fakeDriver) read(ctx context.Context) (image, error) {
	if err := d.enter(ctx); err != nil {
		return image{}, err
	}
	m := image{revision: d.f.revision, entries: map[string]entry{}}
	for key, e := range d.f.entries {
		if name, ok := strings.CutPrefix(key, d.prefix); ok {
			m.entries[name] = e
		}
	}
	d.f.mu.Unlock()
	return m, d.travel(ctx)
}

func (d *fakeDriver) commit(ctx context.Context, t txn) (bool, int64, error) {
	if on := d.f.onCommit.Load(); on != nil {
		(*on)(d.node, t)
	}
	if err := d.enter(ctx); err != nil {
		if ctx.Err() != nil {
			d.straggle(t)
		}
		return false, 0, err
	}
	done, err := d.carryOut(t)
	revision := d.f.revision
	if d.faults.deaf > 0 {
		d.faults.deaf--
		err = errFault
	}
	d.f.mu.Unlock()
	if late := d.travel(ctx); late != nil {
		err = late
	}
	return done && err == nil, revision, err
}

// straggle has a transaction arrive after its caller has given up.
func (d *fakeDriver) straggle(t txn) {
	d.f.mu.Lock()
	defer d.f.mu.Unlock()
	if d.faults.slow == 0 {
		return
	}
	time.AfterFunc(d.faults.slow/2, func() {
		d.f.mu.Lock()
		defer d.f.mu.Unlock()
		if !d.faults.cut && d.f.frozen == nil {
			_, _ = d.carryOut(t)
		}
	})
}

func (d *fakeDriver) carryOut(t txn) (bool, error) {
	f := d.f
	for _, w := range t.when {
		e := f.entries[d.prefix+w.key]
		is := [...]int64{createdAt: e.created, modifiedAt: e.modified, leasedBy: e.lease}[w.of]
		if is != w.is {
			return false, nil
		}
	}
	for _, w := range t.then {
		if w.lease != 0 && f.leases[w.lease] == nil {
			return false, errLeaseGone
		}
	}
	f.revision++
	for _, w := range t.then {
		if w.erase {
			delete(f.entries, d.prefix+w.key)
		} else {
			f.put(d.prefix+w.key, w.value, w.lease)
		}
	}
	f.wake()
	return true, nil
}

func (d *fakeDriver) grant(ctx context.Context, ttl time.Duration) (int64, time.Duration, error) {
	if err := d.enter(ctx); err != nil {
		return 0, 0, err
	}
	f := d.f
	defer f.mu.Unlock()
	f.last++
	id := f.last
	l := &fakeLease{node: d.node, ttl: ttl, renewed: time.Now()}
	l.timer = time.AfterFunc(ttl, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if time.Since(l.renewed) >= ttl { // else it was renewed in this very moment
			f.expire(id)
		}
	})
	f.leases[id] = l
	return id, ttl, nil
}

func (d *fakeDriver) renew(ctx context.Context, lease int64) (time.Duration, error) {
	if err := d.enter(ctx); err != nil {
		return 0, err
	}
	l := d.f.leases[lease]
	if l == nil {
		d.f.mu.Unlock()
		return 0, errLeaseGone
	}
	l.renewed = time.Now()
	l.timer.Reset(l.ttl)
	d.f.mu.Unlock()
	return l.ttl, d.travel(ctx)
}

func (d *fakeDriver) revoke(ctx context.Context, lease int64) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.f.mu.Unlock()
	d.f.expire(lease)
	return nil
}

// watch wakes for every change, of whatever cluster: that is allowed.
func (d *fakeDriver) watch(ctx context.Context, after int64, wake func()) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	if d.f.watches[d] == nil {
		d.f.mu.Unlock()
		return ErrClosed
	}
	d.watchers++
	id := d.watchers
	d.f.watches[d][id] = wake
	if d.f.revision != after {
		wake()
	}
	d.f.mu.Unlock()
	<-ctx.Done()
	d.f.mu.Lock()
	delete(d.f.watches[d], id)
	d.f.mu.Unlock()
	return ctx.Err()
}

// probe has nothing to say: what is cut is cut.
func (d *fakeDriver) probe(context.Context) error { return nil }

func (d *fakeDriver) close() {
	d.f.mu.Lock()
	defer d.f.mu.Unlock()
	delete(d.f.watches, d)
}

// Keys returns the keys of a cluster, in order.
func (f *Fake) Keys(cluster string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for key := range f.entries {
		if name, ok := strings.CutPrefix(key, prefixOf(cluster)); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
