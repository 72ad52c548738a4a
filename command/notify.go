package command

import "github.com/ferricd/ferricd/config"

// NotifyClass is a set of keyspace notification classes: the value of the parameter
// notify-keyspace-events.
type NotifyClass uint32

const (
	NotifyKeyspace NotifyClass = config.NotifyKeyspace
	NotifyKeyevent NotifyClass = config.NotifyKeyevent
	NotifyGeneric  NotifyClass = config.NotifyGeneric
	NotifyString   NotifyClass = config.NotifyString
	NotifyList     NotifyClass = config.NotifyList
	NotifySet      NotifyClass = config.NotifySet
	NotifyHash     NotifyClass = config.NotifyHash
	NotifyZSet     NotifyClass = config.NotifyZset
	NotifyExpired  NotifyClass = config.NotifyExpired
	NotifyEvicted  NotifyClass = config.NotifyEvicted
	NotifyStream   NotifyClass = config.NotifyStream
	NotifyMiss     NotifyClass = config.NotifyKeyMiss
	NotifyNew      NotifyClass = config.NotifyNew
	NotifyModule   NotifyClass = config.NotifyModule
)
