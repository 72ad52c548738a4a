package tracking

// Readers are the clients that have read a key: a few in a list, many in a set.
type Readers struct {
	list  []*Client
	set   map[*Client]struct{}
	purge int // at so many in set, those that are gone are looked for
}

const fewReaders = 16

func (r *Readers) len() int { return len(r.list) + len(r.set) }

// add adds c and returns by how many readers there are more, or fewer: when the
// room is used up, those whose tracking is off are thrown out, so that a hot key
// does not collect all who have ever read it.
func (r *Readers) add(c *Client) (more int) {
	if r.set != nil {
		return r.addToSet(c)
	}
	for _, x := range r.list {
		if x == c {
			return 0
		}
	}
	had := len(r.list)
	if had > 0 && had == cap(r.list) {
		r.list = living(r.list)
	}
	if len(r.list) < fewReaders {
		r.list = append(r.list, c)
		return len(r.list) - had
	}
	r.set, r.purge = make(map[*Client]struct{}, 2*fewReaders), 4*fewReaders
	for _, x := range r.list {
		r.set[x] = struct{}{}
	}
	r.list = nil
	r.set[c] = struct{}{}
	return len(r.set) - had
}

func (r *Readers) addToSet(c *Client) (more int) {
	if _, ok := r.set[c]; ok {
		return 0
	}
	had := len(r.set)
	if had >= r.purge {
		for x := range r.set {
			if !x.on() {
				delete(r.set, x)
			}
		}
		r.purge = max(4*fewReaders, 2*len(r.set))
	}
	r.set[c] = struct{}{}
	return len(r.set) - had
}

// living are those of list whose tracking is on; it reuses the list.
func living(list []*Client) []*Client {
	n := 0
	for _, c := range list {
		if c.on() {
			list[n] = c
			n++
		}
	}
	clear(list[n:])
	return list[:n]
}

// Each calls fn for each of them whose tracking is still on.
func (r *Readers) Each(fn func(c *Client)) {
	for _, c := range r.list {
		if c.on() {
			fn(c)
		}
	}
	for c := range r.set {
		if c.on() {
			fn(c)
		}
	}
}
