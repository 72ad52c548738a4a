package config

const process section = "Process and log"

// Order of the options of LogLevel.
const (
	LogDebug = iota
	LogVerbose
	LogNotice
	LogWarning
)

// Bits of ShutdownOnSIGTERM and ShutdownOnSIGINT; none is the default behaviour.
const (
	ShutdownSave = 1 << iota
	ShutdownNoSave
	ShutdownNow
	ShutdownForce
)

// How the process behaves as a process.
var (
	Dir = process.string("dir", "./ferricd-data", protected,
		"The data directory, made when it is missing. It cannot change while the server runs.").
		with(func(p *param) { p.parse, p.checkSet = parseDir, keepDir })
	LogFile           = process.string("logfile", "", immutable, "File for the log; empty is standard output.")
	LogLevel          = process.enum("loglevel", "notice", "debug verbose notice warning", 0, "Least important lines that are logged.")
	Databases         = process.int("databases", "16", 1, maxInt, immutable, "Number of databases that SELECT knows.")
	Hz                = process.int("hz", "10", 0, maxInt, 0, "Turns per second of background work such as expiry, 1 to 500.").clamp(func(n int64) int64 { return min(max(n, 1), 500) })
	ShutdownTimeout   = process.int("shutdown-timeout", "10", 0, maxInt, 0, "Seconds to drain before a stop goes on without.")
	ShutdownOnSIGINT  = process.shutdown("shutdown-on-sigint", "How SIGINT stops the server.")
	ShutdownOnSIGTERM = process.shutdown("shutdown-on-sigterm", "How SIGTERM stops the server.")

	_ = process.bool("daemonize", "no", immutable|idle, "The server stays in the foreground; a supervisor or the shell sends it away.")
	_ = process.enum("supervised", "no", "upstart systemd auto no", immutable|idle, "How to tell a supervisor that the server is ready.")
	_ = process.string("pidfile", "", immutable|idle, "File for the process id.")
	_ = process.bool("always-show-logo", "no", immutable|idle, "Whether to print a logo.")
	_ = process.bool("set-proc-title", "yes", immutable|idle, "Whether to change the process' title.")
	_ = process.string("proc-title-template", "{title} {listen-addr} {server-mode}", idle, "Form of that title.").check(checkProcTitle)
	_ = process.bool("syslog-enabled", "no", immutable|idle, "Whether to log to syslog.")
	_ = process.string("syslog-ident", "redis", immutable|idle, "Name in syslog.")
	_ = process.enum("syslog-facility", "local0", "user local0 local1 local2 local3 local4 local5 local6 local7", immutable|idle, "Facility in syslog.")
	_ = process.bool("crash-log-enabled", "yes", idle, "A crash prints Go's traces.")
	_ = process.bool("crash-memcheck-enabled", "yes", idle, "Whether a crash tests the machine's memory.")
	_ = process.bool("use-exit-on-panic", "no", hidden|immutable|idle, "How a failed assertion ends the process.")
	_ = process.int("watchdog-period", "0", 0, maxInt, hidden|idle, "Milliseconds after which a stuck event loop is logged.")
	_ = process.bool("disable-thp", "yes", immutable|idle, "Whether to switch transparent huge pages off for the process.")
	_ = process.enum("oom-score-adj", "no", "no yes relative absolute", idle, "Whether to tell the kernel whom to kill first when memory is short.")
	_ = process.special("oom-score-adj-values", "0 200 800", idle, parseOOMScores, "Scores for primary, replica and children.")
	_ = process.string("server_cpulist", "", immutable|idle, "Cores for the server's threads.")
	_ = process.string("bio_cpulist", "", immutable|idle, "Cores for background threads.")
	_ = process.string("aof_rewrite_cpulist", "", immutable|idle, "Cores for rewriting the log.")
	_ = process.string("bgsave_cpulist", "", immutable|idle, "Cores for saving.")
	_ = process.string("ignore-warnings", "", idle, "Warnings about the system to leave out.")
	_ = process.bool("dynamic-hz", "yes", idle, "Whether hz grows with the number of clients.")
	_ = process.string("locale-collate", "", idle, "Locale that SORT ALPHA compares in; bytes are compared here.")
	_ = process.refused("loadmodule", "modules are not available", "Loads a module.")
)

const guard section = "Protection"

// Order of the options of EnableDebugCommand, EnableModuleCommand and
// EnableProtectedConfigs.
const (
	AllowNone = iota
	AllowAll
	AllowLocal
)

// Who may do what.
var (
	EnableDebugCommand     = guard.enum("enable-debug-command", "no", "no yes local", immutable, "Who may use DEBUG; local is clients of this machine.")
	EnableModuleCommand    = guard.enum("enable-module-command", "no", "no yes local", immutable|idle, "Who may use MODULE; there are no modules.")
	EnableProtectedConfigs = guard.enum("enable-protected-configs", "no", "no yes local", immutable, "Who may set protected parameters such as dir.")

	_ = guard.string("aclfile", "", immutable, "File of users; there are none here, so that only the empty value is accepted.").
		check(func(v value) error {
			return refuse(v.text != "", "aclfile is not available: there are no users, only requirepass")
		})
	_ = guard.int("acllog-max-len", "128", 0, maxLong, idle, "Length of ACL LOG.")
	_ = guard.enum("acl-pubsub-default", "resetchannels", "allchannels resetchannels", idle, "Channels of a new user.")
	_ = guard.enum("sanitize-dump-payload", "no", "no yes clients", idle, "Payloads are always checked.")
	_ = guard.refused("user", "users are not available, only requirepass", "Defines a user.")
	_ = guard.refused("rename-command", "rename-command is not available", "Renames or hides a command.")
	_ = guard.include()
)
