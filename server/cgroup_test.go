package server

import (
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestGroupLimit(t *testing.T) {
	const (
		v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
		v1 = "33 23 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
			"34 23 0:30 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n"
	)
	for _, c := range []struct {
		name, groups, mounts string
		files                map[string]string
		want                 int64
	}{
		{"version 2", "0::/app\n", v2, map[string]string{"app/memory.max": "1000\n"}, 1000},
		{"none", "0::/app\n", v2, map[string]string{"app/memory.max": "max\n", "app/memory.high": "max\n"}, 0},
		{"of an ancestor", "0::/a/b/c\n", v2, map[string]string{"a/b/c/memory.max": "max\n", "a/memory.max": "1000\n", "a/b/memory.max": "2000\n"}, 1000},
		{"of the group, below its ancestor's", "0::/a/b\n", v2, map[string]string{"a/b/memory.max": "700\n", "a/memory.max": "1000\n"}, 700},
		{"another group's", "0::/a\n", v2, map[string]string{"b/memory.max": "1000\n"}, 0},
		{"high is below max", "0::/app\n", v2, map[string]string{"app/memory.max": "1000\n", "app/memory.high": "900\n"}, 900},
		{"within a container", "0::/\n", v2, map[string]string{"memory.max": "1000\n"}, 1000},
		{"version 1", "4:memory:/app\n2:cpu:/\n", v1, map[string]string{"memory/app/memory.limit_in_bytes": "1000\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"}, 1000},
		{"version 1, none", "4:memory:/\n", v1, map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		{"version 1, controllers together", "4:cpu,memory:/app\n", "34 23 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,cpu,memory\n",
			map[string]string{"memory/app/memory.limit_in_bytes": "1000\n"}, 1000},
		{"version 1, the container's group is mounted", "4:memory:/docker/x\n", "34 23 0:30 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			map[string]string{"memory/memory.limit_in_bytes": "1000\n"}, 1000},
		{"a group below it", "4:memory:/docker/x/y\n", "34 23 0:30 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			map[string]string{"memory/y/memory.limit_in_bytes": "1000\n", "memory/memory.limit_in_bytes": "3000\n"}, 1000},
		{"a group that is not mounted", "4:memory:/docker/xy\n", "34 23 0:30 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			map[string]string{"memory/memory.limit_in_bytes": "1000\n"}, 1000},
		{"both versions, memory is of the first", "4:memory:/a\n0::/b\n", v1 + "35 23 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			map[string]string{"memory/a/memory.limit_in_bytes": "1000\n"}, 1000},
		{"nonsense", "0::\nx\n4:memory\n::\n", "1 2 3\n - \n" + v2, map[string]string{"memory.max": "-5\n", "memory.high": "many"}, 0},
	} {
		root := fstest.MapFS{"proc/self/cgroup": {Data: []byte(c.groups)}, "proc/self/mountinfo": {Data: []byte(c.mounts)}}
		for name, text := range c.files {
			root["sys/fs/cgroup/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
		require.Equal(t, c.want, groupLimit(root), c.name)
	}
	require.Zero(t, groupLimit(fstest.MapFS{}), "no control groups")
	require.GreaterOrEqual(t, groupLimit(os.DirFS("/")), int64(0), "this machine's")
}
