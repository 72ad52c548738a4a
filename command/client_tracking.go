package command

import "github.com/ferricd/ferricd/tracking"

const (
	errOneRedirect    WireError = "ERR A client can only redirect to a single other client"
	errNoRedirect     WireError = "ERR The client ID you want redirect to does not exist"
	errPrefixNeeds    WireError = "ERR PREFIX option requires BCAST mode to be enabled"
	errSwitchBcast    WireError = "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."
	errSwitchOpt      WireError = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode."
	errOptBcast       WireError = "ERR OPTIN and OPTOUT are not compatible with BCAST"
	errOptBoth        WireError = "ERR You can't specify both OPTIN mode and OPTOUT mode"
	errCachingOff     WireError = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
	errCachingYes     WireError = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
	errCachingNo      WireError = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
	errPrefixExisting           = "ERR Prefix '%s' overlaps with an existing prefix '%s'. Prefixes for a single client must not overlap."
	errPrefixGiven              = "ERR Prefix '%s' overlaps with another provided prefix '%s'. Prefixes for a single client must not overlap."
)

func clientTracking(c *Context) error {
	o, prefixes, err := c.trackingOptions()
	if err != nil {
		return err
	}
	switch {
	case c.Is(2, "ON"):
		if err := c.checkTracking(&o, prefixes); err != nil {
			return err
		}
		c.Client.Tracker().Start(o, prefixes)
	case c.Is(2, "OFF"):
		c.Client.Tracking().Stop()
	default:
		return ErrSyntax
	}
	c.Reply.OK()
	return nil
}

func (c *Context) trackingOptions() (o tracking.Options, prefixes []string, err error) {
	for i := 3; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch {
		case c.Is(i, "REDIRECT") && more:
			i++
			if o.Redirect != 0 {
				return o, nil, errOneRedirect
			}
			id, err := c.Int64(i)
			if err != nil {
				return o, nil, err
			}
			if o.Redirect = uint64(id); c.Server.ClientByID(o.Redirect) == nil {
				return o, nil, errNoRedirect
			}
		case c.Is(i, "BCAST"):
			o.Broadcast = true
		case c.Is(i, "OPTIN"):
			o.OptIn = true
		case c.Is(i, "OPTOUT"):
			o.OptOut = true
		case c.Is(i, "NOLOOP"):
			o.NoLoop = true
		case c.Is(i, "PREFIX") && more:
			i++
			prefixes = append(prefixes, string(c.Args[i]))
		default:
			return o, nil, ErrSyntax
		}
	}
	return o, prefixes, nil
}

// checkTracking looks whether the options go together, and with those in force.
func (c *Context) checkTracking(o *tracking.Options, prefixes []string) error {
	was := c.Client.Tracking().Options()
	switch {
	case !o.Broadcast && len(prefixes) > 0:
		return errPrefixNeeds
	case was != nil && was.Broadcast != o.Broadcast:
		return errSwitchBcast
	case o.Broadcast && (o.OptIn || o.OptOut):
		return errOptBcast
	case o.OptIn && o.OptOut:
		return errOptBoth
	case was != nil && (o.OptIn && was.OptOut || o.OptOut && was.OptIn):
		return errSwitchOpt
	}
	if which, with, own, found := c.Client.Tracking().Overlap(prefixes); own {
		return Errorf(errPrefixExisting, which, with)
	} else if found {
		return Errorf(errPrefixGiven, which, with)
	}
	return nil
}

func clientCaching(c *Context) error {
	t := c.Client.Tracking()
	o := t.Options()
	switch {
	case o == nil:
		return errCachingOff
	case c.Is(2, "YES") && !o.OptIn:
		return errCachingYes
	case c.Is(2, "NO") && !o.OptOut:
		return errCachingNo
	case !c.Is(2, "YES") && !c.Is(2, "NO"):
		return ErrSyntax
	}
	t.Caching = true
	c.Reply.OK()
	return nil
}

// redirect is who is told what the client has to be told: 0 itself, -1 nobody.
func (cl *Client) redirect() int64 {
	if o := cl.Tracking().Options(); o != nil {
		return int64(o.Redirect)
	}
	return -1
}

func clientGetRedir(c *Context) error {
	c.Reply.Int(c.Client.redirect())
	return nil
}

func clientTrackingInfo(c *Context) error {
	flags := c.Client.trackingFlags()
	c.Reply.Map(3)
	c.Reply.BulkString("flags")
	c.Reply.Set(len(flags))
	for _, f := range flags {
		c.Reply.BulkString(f)
	}
	c.Reply.BulkString("redirect")
	c.Reply.Int(c.Client.redirect())
	c.Reply.BulkString("prefixes")
	prefixes := c.Client.Tracking().Prefixes()
	c.Reply.Array(len(prefixes))
	for _, p := range prefixes {
		c.Reply.BulkString(p)
	}
	return nil
}

func (cl *Client) trackingFlags() []string {
	o := cl.Tracking().Options()
	if o == nil {
		return []string{"off"}
	}
	flags := []string{"on"}
	for _, f := range []struct {
		is   bool
		word string
	}{
		{o.Broadcast, "bcast"},
		{o.OptIn, "optin"}, {o.OptIn && cl.Tracking().Caching, "caching-yes"},
		{o.OptOut, "optout"}, {o.OptOut && cl.Tracking().Caching, "caching-no"},
		{o.NoLoop, "noloop"}, {cl.Tracking().Broken.Load(), "broken_redirect"},
	} {
		if f.is {
			flags = append(flags, f.word)
		}
	}
	return flags
}

// trackingFlags: what is tracked is read at the leader.
const trackingFlags = clientFlags &^ AnyNode

var trackingCommands = []Spec{
	{
		Name: "CLIENT|TRACKING", Usage: "<ON | OFF> [REDIRECT client-id:integer] [PREFIX prefix]... [BCAST] [OPTIN] [OPTOUT] [NOLOOP]", Arity: -3, Group: Connection,
		Since: "6.0.0", Complexity: "O(1). Some options may introduce additional complexity.", Flags: trackingFlags, Run: clientTracking,
		Summary: "Tells the connection, or not, when a key changes that it has read.",
	},
	{
		Name: "CLIENT|CACHING", Usage: "<YES | NO>", Arity: 3, Group: Connection, Since: "6.0.0", Complexity: "O(1)", Flags: trackingFlags, Run: clientCaching,
		Summary: "Says whether the keys of the next command are tracked.",
	},
	{
		Name: "CLIENT|GETREDIR", Usage: "", Arity: 2, Group: Connection, Since: "6.0.0", Complexity: "O(1)", Flags: trackingFlags, Run: clientGetRedir,
		Summary: "Tells which connection gets the messages of this one's tracking.",
	},
	{
		Name: "CLIENT|TRACKINGINFO", Usage: "", Arity: 2, Group: Connection, Since: "6.2.0", Complexity: "O(1)", Flags: trackingFlags, Run: clientTrackingInfo,
		Summary: "Tells what this connection's tracking does.",
	},
}
