package command

// Category is a set of ACL categories.
type Category uint32

const (
	CatKeyspace Category = 1 << iota
	CatRead
	CatWrite
	CatSet
	CatSortedSet
	CatList
	CatHash
	CatString
	CatBitmap
	CatHyperLogLog
	CatGeo
	CatStream
	CatPubSub
	CatAdmin
	CatFast
	CatSlow
	CatBlocking
	CatDangerous
	CatConnection
	CatTransaction
	CatScripting

	CatNotGroup Category = 1 << 31 // the group's category is not the command's
)

var categoryNames = [...]string{
	"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap",
	"hyperloglog", "geo", "stream", "pubsub", "admin", "fast", "slow", "blocking",
	"dangerous", "connection", "transaction", "scripting",
}

var groupCategory = map[Group]Category{
	Generic: CatKeyspace, String: CatString, List: CatList, SetGroup: CatSet,
	SortedSet: CatSortedSet, Hash: CatHash, Stream: CatStream, Bitmap: CatBitmap,
	HyperLogLog: CatHyperLogLog, Geo: CatGeo, PubSubGroup: CatPubSub,
	Transactions: CatTransaction, Scripting: CatScripting, Connection: CatConnection,
}

// ACL is the command's set of categories. A container that does nothing itself
// is in none but those it names.
func (s *Spec) ACL() Category {
	c := s.Categories &^ CatNotGroup
	if s.Run != nil && s.Categories&CatNotGroup == 0 {
		c |= groupCategory[s.Group]
	}
	if s.Has(Write) {
		c |= CatWrite
	}
	if s.Has(Readonly) && s.Group != Scripting {
		c |= CatRead
	}
	if s.Has(Admin) {
		c |= CatAdmin | CatDangerous
	}
	if s.Has(PubSub) {
		c |= CatPubSub
	}
	if s.Has(Blocking) {
		c |= CatBlocking
	}
	if s.Has(Fast) {
		return c | CatFast
	}
	return c | CatSlow
}

// Names lists the categories of c in Redis' order, without the @.
func (c Category) Names() []string {
	var names []string
	for i, n := range categoryNames {
		if c&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}
