package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// write makes a file in a fresh directory, or next to near.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(t.TempDir(), name)
	}
	require.NoError(t, os.WriteFile(path, []byte(text), 0o640))
	return path
}

func loaded(t *testing.T, args, environ []string) *Config {
	t.Helper()
	c := New()
	require.NoError(t, c.Load(args, environ))
	return c
}

func TestStrongerSourcesWin(t *testing.T) {
	path := write(t, "f.conf", "port 1\nhz 11\ntimeout 21\nmaxmemory 1mb\n")
	c := loaded(t, []string{path, "--port", "3"}, []string{"FERRICD_PORT=2", "FERRICD_HZ=12", "PATH=/bin", "OTHER_PORT=9"})
	require.EqualValues(t, 3, c.Int(Port))
	require.EqualValues(t, 12, c.Int(Hz))
	require.EqualValues(t, 21, c.Int(Timeout))
	require.EqualValues(t, 1<<20, c.Int(MaxMemory))
	require.EqualValues(t, 16, c.Int(Databases))
	require.Equal(t, path, c.File())
}

func TestSaveRulesAddUpInOneSourceOnly(t *testing.T) {
	path := write(t, "f.conf", "save 900 1\nsave 300 10\n")
	require.Equal(t, "900 1 300 10", loaded(t, []string{path}, nil).String(Save))
	c := loaded(t, []string{path, "--save", "60", "5", "--save", "5 6"}, nil)
	require.Equal(t, []SavePoint{{60, 5}, {5, 6}}, c.SavePoints())
	require.Empty(t, loaded(t, []string{path, "--save", ""}, nil).SavePoints())
	require.NoError(t, c.Set(true, "save", "1 2"))
	require.Equal(t, "1 2", c.String(Save))
}

func TestOptionForms(t *testing.T) {
	c := loaded(t, []string{"--port=7", "--bind", "127.0.0.1", "-::1", "--requirepass=--x=y", "--proc-title-template", "--mine", "--maxmemory 2kb", "--Timeout", "9"}, nil)
	require.EqualValues(t, 7, c.Int(Port))
	require.Equal(t, []string{"127.0.0.1", "-::1"}, c.Addresses())
	require.Equal(t, "--x=y", c.String(RequirePass))
	require.EqualValues(t, 2048, c.Int(MaxMemory))
	require.EqualValues(t, 9, c.Int(Timeout))
	require.Empty(t, c.File())
}

func TestStdinIsAFile(t *testing.T) {
	c := New()
	c.Stdin = strings.NewReader("hz 33\n")
	require.NoError(t, c.Load([]string{"-", "--port", "5"}, nil))
	require.EqualValues(t, 33, c.Int(Hz))
	require.EqualError(t, c.Rewrite(), "The server is running without a config file")
}

func TestLoadSaysWhatIsWrongWhere(t *testing.T) {
	path := write(t, "f.conf", "# fine\n\nprot 6379\n")
	bad := write(t, "g.conf", "requirepass a b\n")
	quotes := write(t, "h.conf", "hz 1\nrequirepass \"secret\n")
	for _, try := range []struct {
		args, environ []string
		want          string
	}{
		{[]string{path}, nil, path + ":3: Unknown option 'prot'; did you mean 'port'?"},
		{[]string{bad}, nil, bad + ":1: requirepass (hidden) (hidden): wrong number of arguments"},
		{[]string{quotes}, nil, quotes + ":2: Unbalanced quotes in configuration line"},
		{[]string{path + "x"}, nil, "can't open the configuration file: open " + path + "x: no such file or directory"},
		{[]string{"--port", "x y"}, nil, `--port: port "x y": argument couldn't be parsed into an integer`},
		{[]string{"--max-memory", "1"}, nil, "--max-memory: Unknown option 'max-memory'; did you mean 'maxmemory'?"},
		{[]string{"--qqqqqqqqqq", "1"}, nil, "--qqqqqqqqqq: Unknown option 'qqqqqqqqqq'"},
		{[]string{"-p", "1"}, nil, `"-p": an option begins with --, as in --port 6379`},
		{[]string{"--requirepass", "--port", "1"}, nil, "--requirepass: requirepass: wrong number of arguments"},
		{nil, []string{"FERRICD_PROT=1"}, "FERRICD_PROT: Unknown option 'prot'; did you mean 'port'?"},
		{nil, []string{"FERRICD_PORT=x"}, "FERRICD_PORT: port x: argument couldn't be parsed into an integer"},
		{nil, []string{"FERRICD_REQUIREPASS=x", "FERRICD_REQUIREPASS_FILE=/dev/null"}, "FERRICD_REQUIREPASS_FILE: FERRICD_REQUIREPASS sets requirepass already"},
		{nil, []string{"FERRICD_REQUIREPASS_FILE=/nosuch"}, "FERRICD_REQUIREPASS_FILE: open /nosuch: no such file or directory"},
		{[]string{"--cluster-enabled", "yes"}, nil, "--cluster-enabled: cluster-enabled yes: cluster-enabled yes is not available"},
		{[]string{"--aclfile", "x"}, nil, "--aclfile: aclfile x: aclfile is not available: there are no users, only requirepass"},
		{[]string{"--user", "x", "on"}, nil, "--user: user x on: users are not available, only requirepass"},
		{[]string{"--loadmodule", "x"}, nil, "--loadmodule: loadmodule x: modules are not available"},
		{[]string{"--replicaof", "a", "1"}, nil, "--replicaof: replicaof a 1: replicaof is not available: this server cannot follow another one"},
		{[]string{"--shards", "48"}, nil, "--shards: shards 48: argument must be a power of two"},
		{[]string{"--shards", "2048"}, nil, "--shards: shards 2048: argument must be between 1 and 1024 inclusive"},
	} {
		err := New().Load(try.args, try.environ)
		require.EqualError(t, err, try.want)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	secret := write(t, "pw", "s3cret\r\n")
	cert := write(t, "cert.pem", "x")
	c := loaded(t, nil, []string{"FERRICD_REQUIREPASS_FILE=" + secret, "FERRICD_TLS_CERT_FILE=" + cert, "FERRICD_rmw_wait=77", "FERRICD_SERVER_CPULIST=0"})
	require.Equal(t, "s3cret", c.String(RequirePass))
	require.Equal(t, cert, c.String(TLSCertFile), "a parameter that ends in -file is a path, not a secret in a file")
	require.EqualValues(t, 77, c.Int(RMWWait))
	for _, p := range c.Effective() {
		require.NotContains(t, p.Value, "s3cret")
	}
	require.Contains(t, c.Effective(), Pair{"requirepass", "(hidden)"})
	require.Contains(t, c.Effective(), Pair{"rmw-wait", "77"})
	require.True(t, Sensitive("RequirePass"))
	require.False(t, Sensitive("port"))
	require.False(t, Sensitive("nosuch"))
}

// A service called ferricd makes Kubernetes and Docker set these.
func TestServiceLinksAreNoParameters(t *testing.T) {
	c := loaded(t, nil, []string{
		"FERRICD_PORT=tcp://10.0.0.1:6379", "FERRICD_PORT_6379_TCP=tcp://10.0.0.1:6379", "FERRICD_PORT_6379_TCP_ADDR=10.0.0.1",
		"FERRICD_SERVICE_HOST=10.0.0.1", "FERRICD_SERVICE_PORT=6379", "FERRICD_SERVICE_PORT_CLIENT=6379",
		"FERRICD_HEADLESS_SERVICE_HOST=10.0.0.2", "FERRICD_HEADLESS_PORT=tcp://10.0.0.2:1", "FERRICD_NAME=/web/ferricd", "FERRICD_ENV_PATH=/bin",
	})
	require.EqualValues(t, 6379, c.Int(Port))
	require.Empty(t, c.Effective())
}

func TestIncludes(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b.conf"), "hz 12\ntimeout 2\n")
	write(t, filepath.Join(dir, "a.conf"), "hz 11\n")
	main := write(t, filepath.Join(dir, "main"), "hz 10\ntimeout 1\ninclude "+dir+"/*.conf\ninclude "+dir+"/none*\ninclude \""+dir+"/b.conf\"\ntimeout 3\n")
	c := loaded(t, []string{main}, []string{"FERRICD_TIMEOUT=4"})
	require.EqualValues(t, 12, c.Int(Hz))
	require.EqualValues(t, 4, c.Int(Timeout))
	c = loaded(t, []string{"--include", main}, []string{"FERRICD_TIMEOUT=4"})
	require.EqualValues(t, 3, c.Int(Timeout), "what an option includes is as strong as the option")

	loop := write(t, filepath.Join(dir, "loop"), "include "+dir+"/loop\n")
	require.ErrorContains(t, New().Load([]string{loop}, nil), "include each other")
	gone := write(t, filepath.Join(dir, "gone"), "\ninclude "+dir+"/nosuch\n")
	require.EqualError(t, New().Load([]string{gone}, nil), gone+":2: can't open the configuration file: open "+dir+"/nosuch: no such file or directory")
}

func TestDebiansFileStarts(t *testing.T) {
	const path = "/etc/redis/redis.conf"
	if _, err := os.ReadFile(path); err != nil {
		t.Skip("Debian's redis-server is not installed, or its file is not readable")
	}
	c := loaded(t, []string{path}, nil)
	require.Equal(t, []string{"127.0.0.1", "-::1"}, c.Addresses())
	require.Subset(t, c.Ignored(), []string{"daemonize", "rdbchecksum", "pidfile"})
	require.NotContains(t, c.Ignored(), "port")
}

func TestNothingIsIgnoredUnlessGiven(t *testing.T) {
	require.Empty(t, New().Ignored())
	require.Equal(t, []string{"rdbchecksum"}, loaded(t, nil, []string{"FERRICD_RDBCHECKSUM=no"}).Ignored())
}

func TestSuggestionsAreNear(t *testing.T) {
	for name, want := range map[string]string{
		"prot": "port", "max_memory": "maxmemory", "maxmemory-polic": "maxmemory-policy", "hash-max-zip-list-entries": "hash-max-ziplist-entries",
		"slave-of": "slaveof", "requirepasswd": "requirepass", "shard": "shards", "TLS_PORT": "tls-port",
	} {
		require.ErrorContains(t, unknown(name), "did you mean '"+want+"'?")
	}
	require.EqualError(t, unknown("latch-slot"), "Unknown option 'latch-slot'", "hidden ones are not suggested")
	require.Equal(t, 1, distance("abcd", "abdc", 9))
	require.Equal(t, 3, distance("kitten", "sitting", 9))
	require.Equal(t, 2, distance("a", "abcdef", 2))
}
