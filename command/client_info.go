package command

import (
	"strconv"
	"time"

	"github.com/ferricd/ferricd/pubsub"
)

// appendInfo appends a line of CLIENT LIST, without its end.
func (cl *Client) appendInfo(b []byte, now time.Time) []byte {
	num := func(name string, n int64) {
		b = append(b, name...)
		b = strconv.AppendInt(b, n, 10)
	}
	str := func(name, s string) { b = append(append(b, name...), s...) }
	st := cl.Conn.Stats()
	lib, ver := cl.Library()
	num("id=", int64(cl.ID))
	str(" addr=", cl.Conn.RemoteAddr())
	str(" laddr=", cl.Conn.LocalAddr())
	num(" fd=", int64(cl.Conn.FD()))
	str(" name=", cl.Name())
	num(" age=", int64(now.Sub(cl.Started())/time.Second))
	num(" idle=", max(0, (now.UnixMilli()-max(cl.LastUsed(), cl.started))/1000))
	str(" flags=", cl.flagLetters())
	num(" db=", int64(cl.DB()))
	num(" sub=", int64(cl.Subs().Count(pubsub.Channel)))
	num(" psub=", int64(cl.Subs().Count(pubsub.Pattern)))
	num(" ssub=", int64(cl.Subs().Count(pubsub.Shard)))
	num(" multi=", int64(cl.Queued()))
	num(" qbuf=", int64(st.QueryLen))
	num(" qbuf-free=", int64(st.QueryFree))
	str(" argv-mem=0 multi-mem=", "0") // arguments lie in the query buffer
	num(" rbs=", int64(st.Replies))
	num(" rbp=", int64(st.Replies))
	num(" obl=", int64(st.Replies))
	num(" oll=", int64(st.Pending))
	num(" omem=", int64(st.PendingBytes))
	num(" tot-mem=", int64(st.Memory))
	str(" events=", "r")
	str(" cmd=", cl.lastName())
	str(" user=", cl.User)
	num(" redir=", cl.redirect())
	num(" resp=", int64(cl.Proto()))
	str(" lib-name=", lib)
	str(" lib-ver=", ver)
	return b
}

func (cl *Client) lastName() string {
	if s := cl.Last(); s != nil {
		return s.Lower()
	}
	return "NULL"
}

func (cl *Client) flagLetters() string {
	f, o := cl.Flags(), cl.Tracking().Options()
	var b []byte
	for _, l := range []struct {
		is     bool
		letter byte
	}{
		{f&ClientReplica != 0, 'S'}, {f&ClientMonitor != 0, 'O'}, {f&ClientPubSub != 0, 'P'}, {f&ClientMulti != 0, 'x'},
		{f&ClientBlocked != 0, 'b'}, {o != nil, 't'}, {o != nil && cl.Tracking().Broken.Load(), 'R'}, {o != nil && o.Broadcast, 'B'},
		{f&ClientDirty != 0, 'd'}, {f&ClientCloseAfter != 0, 'c'}, {cl.Conn.IsUnix(), 'U'},
		{f&ClientNoEvict != 0, 'e'}, {f&ClientNoTouch != 0, 'T'}, {f&ClientReadonly != 0, 'r'}, {f&ClientProxied != 0, 'p'},
	} {
		if l.is {
			b = append(b, l.letter)
		}
	}
	if len(b) == 0 {
		return "N"
	}
	return string(b)
}

// clientType is the class of a client as CLIENT LIST TYPE and KILL TYPE know it.
func (cl *Client) clientType() string {
	switch {
	case cl.Has(ClientReplica):
		return "replica"
	case cl.Has(ClientPubSub):
		return "pubsub"
	}
	return "normal"
}

// parseClientType reads the word of TYPE.
func parseClientType(b []byte) (string, error) {
	for _, t := range []string{"NORMAL", "MASTER", "REPLICA", "SLAVE", "PUBSUB"} {
		if foldEqual(b, t) {
			switch t {
			case "SLAVE", "REPLICA":
				return "replica", nil
			case "MASTER":
				return "master", nil
			case "PUBSUB":
				return "pubsub", nil
			}
			return "normal", nil
		}
	}
	return "", Errorf("ERR Unknown client type '%s'", b)
}
