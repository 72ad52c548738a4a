package config

const network section = "Network and clients"

// Where and how the server listens, and what a client may cost.
var (
	Bind = network.special("bind", "127.0.0.1 -::1", 0, parseBind,
		"Addresses to listen on; `*` and `::*` stand for all, a leading `-` forgives an address that is not there. redis-server without a file listens on all.")
	Port          = network.int("port", "6379", 0, 65535, 0, "TCP port; 0 listens on none.")
	ProtectedMode = network.bool("protected-mode", "yes", 0,
		"Without a password only clients of this machine are served.")
	UnixSocket     = network.string("unixsocket", "", immutable, "Path of a Unix socket to listen on.")
	UnixSocketPerm = network.octal("unixsocketperm", "0", 0, 0o777, immutable, "Permissions of the Unix socket, in octal; 0 leaves them to the umask.")
	_              = network.int("tcp-backlog", "511", 0, maxInt, immutable|idle, "Length of the kernel's accept queue; the system's own maximum is used.")
	Timeout        = network.int("timeout", "0", 0, maxInt, 0, "Seconds after which an idle client is closed; 0 never.")
	TCPKeepAlive   = network.int("tcp-keepalive", "300", 0, maxInt, 0, "Seconds between keep-alive probes; 0 sends none.")
	MaxClients     = network.int("maxclients", "10000", 1, maxUint, 0, "How many clients may be connected at once.")
	RequirePass    = network.string("requirepass", "", secret, "Password that clients must give; empty asks for none.")

	Transport = network.enum("transport", "auto", "auto loop goroutine", immutable|ours,
		"What waits for clients of plain TCP: event loops, one per processor, or a goroutine per client. TLS, Unix sockets and systems other than Linux have the latter always; auto chooses.")

	ClientOutputBufferLimit = network.special("client-output-buffer-limit",
		"normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", 0, parseOutputLimits,
		"Per class of client: bytes of unread replies that close it at once, bytes that close it after so many seconds. Zeros for normal clients leave the bound to the server.").
		lines(outputLimitLines)
	ClientQueryBufferLimit = network.memory("client-query-buffer-limit", "1073741824", mebibyte, maxLong, 0,
		"How much an unfinished request of one client may hold.")
	ProtoMaxBulkLen  = network.memory("proto-max-bulk-len", "536870912", mebibyte, maxLong, 0, "Largest single argument.")
	MaxMemoryClients = network.percent("maxmemory-clients", "0",
		"Memory of all clients together, in bytes or as a percentage of maxmemory; 0 is no limit.")
	TrackingTableMaxKeys = network.int("tracking-table-max-keys", "1000000", 0, maxLong, 0, "How many keys client-side caching remembers.")

	_ = network.string("bind-source-addr", "", idle, "Source address of outgoing connections.")
	_ = network.int("socket-mark-id", "0", 0, maxUint, immutable|idle, "Mark on the server's sockets for the system's packet filter.")
	_ = network.int("io-threads", "1", 1, 128, immutable|idle, "Threads for reading and writing; all cores are used anyway.")
	_ = network.bool("io-threads-do-reads", "no", immutable|idle, "Whether those threads read too.")
	_ = network.int("max-new-connections-per-cycle", "10", 1, 1000, idle, "Connections accepted in one turn of an event loop.")
	_ = network.int("max-new-tls-connections-per-cycle", "1", 1, 1000, idle, "The same for TLS.")
)

const tls section = "TLS"

// TLS for clients. Files are read again when one of these is set.
var (
	TLSPort        = tls.int("tls-port", "0", 0, 65535, 0, "TCP port for TLS; 0 listens on none.")
	TLSCertFile    = tls.string("tls-cert-file", "", 0, "The server's certificate, PEM.")
	TLSKeyFile     = tls.string("tls-key-file", "", 0, "Its private key, PEM.")
	TLSKeyFilePass = tls.string("tls-key-file-pass", "", secret|idle, "Password of that key; encrypted keys are not read.")
	TLSCACertFile  = tls.string("tls-ca-cert-file", "", 0, "Authorities that clients' certificates are checked against.")
	TLSCACertDir   = tls.string("tls-ca-cert-dir", "", 0, "A directory of such authorities.")
	TLSAuthClients = tls.enum("tls-auth-clients", "yes", "no yes optional", 0, "Whether clients must show a certificate.")
	TLSProtocols   = tls.string("tls-protocols", "", 0, "Versions of TLS that are spoken, such as \"TLSv1.2 TLSv1.3\"; empty is these two.")

	_              = tls.string("tls-client-cert-file", "", idle, "Certificate for outgoing connections.")
	_              = tls.string("tls-client-key-file", "", idle, "Its private key.")
	_              = tls.string("tls-client-key-file-pass", "", secret|idle, "Password of that key.")
	_              = tls.string("tls-dh-params-file", "", idle, "Parameters for Diffie-Hellman; Go's TLS brings its own.")
	_              = tls.string("tls-ciphers", "", idle, "Ciphers of TLS 1.2; Go's TLS chooses safe ones.")
	_              = tls.string("tls-ciphersuites", "", idle, "Ciphers of TLS 1.3; Go's TLS chooses safe ones.")
	_              = tls.bool("tls-prefer-server-ciphers", "no", idle, "Whose preference counts; Go's TLS decides.")
	_              = tls.bool("tls-session-caching", "yes", idle, "Sessions are resumed by tickets, without a cache.")
	_              = tls.int("tls-session-cache-size", "20480", 0, maxInt, idle, "Size of that cache.")
	_              = tls.int("tls-session-cache-timeout", "300", 0, maxInt, idle, "Seconds that a session stays in it.")
	TLSReplication = tls.bool("tls-replication", "no", 0, "Whether the nodes of a cluster speak TLS with each other, with these files; it cannot change while the server runs.").
			with(func(p *param) { p.checkSet = keep("tls-replication") })
	_ = tls.bool("tls-cluster", "no", idle, "TLS on the cluster bus.")
)
