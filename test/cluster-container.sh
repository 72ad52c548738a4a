#!/usr/bin/env bash
# Builds the images, starts three nodes and etcd with Compose, and kills the leader
# under load:
#
#	test/cluster-container.sh
#
# It says so and succeeds where no container engine answers. Without a registry it
# makes the base image from the Go toolchain of this machine, and that of etcd from
# Debian's package, and removes them afterwards. It publishes FERRICD_PORT (16379) and
# the two above it on 127.0.0.1.
set -euo pipefail
exec </dev/null
cd "$(dirname "$0")/.."

export COMPOSE_FILE=docker-compose.cluster.yml
export FERRICD_PORT=${FERRICD_PORT:-16379}
export FERRICD_PORT_2=$((FERRICD_PORT + 1)) FERRICD_PORT_3=$((FERRICD_PORT + 2))
. test/engine.sh
if ! command -v redis-cli >/dev/null; then
	say "skipped: redis-cli is not installed"
	exit 0
fi

# import_etcd makes an image of etcd and etcdctl, installed here or taken from their
# packages.
import_etcd() {
	local root=$scratch/etcd packages=$scratch/packages
	if command -v etcd >/dev/null && command -v etcdctl >/dev/null; then
		put "$root" usr/local/bin "$(command -v etcd)" "$(command -v etcdctl)"
	else
		mkdir -p "$packages"
		(cd "$packages" && apt-get download -q etcd-server etcd-client && for deb in *.deb; do dpkg-deb -x "$deb" .; done) ||
			fail "there is neither a registry nor Debian's packages of etcd"
		put "$root" usr/local/bin "$packages"/usr/bin/etcd "$packages"/usr/bin/etcdctl
	fi
	mkdir -p "$root"/{tmp,etcd-data}
	import_image "$root" "$ETCD_IMAGE" 'ENV PATH=/usr/local/bin' 'ENV ETCDCTL_API=3'
}
ETCD_IMAGE=$(sed -n 's/.*ETCD_IMAGE:-\([^}]*\)}.*/\1/p' $COMPOSE_FILE)
[ -n "$ETCD_IMAGE" ] || fail "$COMPOSE_FILE names no etcd"
export ETCD_IMAGE

need_image "$base" import_base
need_image "$ETCD_IMAGE" import_etcd

nodes=(n1 n2 n3)
declare -A port=([n1]=$FERRICD_PORT [n2]=$FERRICD_PORT_2 [n3]=$FERRICD_PORT_3)
container() { "${compose[@]}" ps -q "$1"; }

# cli sends a command to a node, over the published port.
cli() {
	local node=$1
	shift
	timeout 60 redis-cli -p "${port[$node]}" "$@"
}

# role prints what a node says that it is, or nothing.
role() { cli "$1" ROLE 2>/dev/null | head -n 1 || true; }

# leader prints which node leads, other than $1, as soon as one does.
leader() {
	local node
	for _ in $(seq 300); do
		for node in "${nodes[@]}"; do
			if [ "$node" != "${1:-}" ] && [ "$(role "$node")" = master ]; then
				echo "$node"
				return
			fi
		done
		sleep 0.1
	done
	fail "nobody leads" >&2
}

status() { docker exec "$(container "$1")" /ferricd cluster status; }

# whole waits until all nodes are in sync.
whole() {
	local node
	for node in "${nodes[@]}"; do
		healthy "$(container "$node")"
	done
	for _ in $(seq 300); do
		if [ "$(cli "$(leader)" INFO replication | tr -d '\r' | sed -n 's/^connected_slaves://p')" = 2 ]; then
			return
		fi
		sleep 0.1
	done
	fail "the nodes do not come together: $("${compose[@]}" logs --tail 20 2>&1)"
}

# load increments at one node until the file $2 appears, and prints how often that was
# answered and how often it was tried.
load() {
	local acked=0 tried=0 reply
	while [ ! -e "$2" ]; do
		tried=$((tried + 1))
		reply=$(cli "$1" INCR visits 2>/dev/null) || true
		[[ $reply =~ ^[0-9]+$ ]] && acked=$((acked + 1))
	done
	echo "$acked $tried"
}

say "builds"
"${compose[@]}" build n1
"${compose[@]}" up -d
whole
status n1
for node in "${nodes[@]}"; do
	[ "$(cli "$node" SET "from:$node" "$node")" = OK ] || fail "$node takes no writes"
done
say "three nodes serve"

old=$(leader)
follower=$([ "$old" = n1 ] && echo n2 || echo n1)
docker exec "$(container "$old")" /ferricd healthcheck --role leader || fail "the leader's health check"
docker exec "$(container "$follower")" /ferricd healthcheck --role follower || fail "a follower's health check"
if docker exec "$(container "$follower")" /ferricd healthcheck --role leader 2>/dev/null; then
	fail "a follower passes the check for leaders"
fi

load "$follower" "$scratch/enough" >"$scratch/counted" &
loader=$!
sleep 2
before=$(cli "$follower" GET visits)
[ "$before" -gt 0 ] || fail "the load does not run"
say "kills $old, which leads, after $before increments"
docker kill "$(container "$old")" >/dev/null
new=$(leader "$old")
say "$new leads"
count() { cli "$follower" GET visits 2>/dev/null || echo 0; }
for _ in $(seq 300); do
	now=$(count)
	[[ $now =~ ^[0-9]+$ ]] && [ "$now" -gt "$((before + 20))" ] && break
	sleep 0.1
done
touch "$scratch/enough"
wait $loader
read -r acked tried <"$scratch/counted"
value=$(cli "$new" GET visits)
say "$acked increments were acknowledged, $tried were tried, the counter is at $value"
[ "$value" -gt "$before" ] || fail "nothing was counted after the kill"
[ "$value" -ge "$acked" ] || fail "acknowledged increments are lost"
[ "$value" -le "$tried" ] || fail "increments ran twice"

"${compose[@]}" up -d
whole
status "$new"
[ "$(cli "$old" GET visits)" = "$value" ] || fail "$old does not have what it missed"
for node in "${nodes[@]}"; do
	[ "$(cli "$old" GET "from:$node")" = "$node" ] || fail "what $node was told is lost"
done
say "$old is back"

began=$SECONDS
"${compose[@]}" stop
say "stopped in $((SECONDS - began)) s"
for node in "${nodes[@]}"; do
	code=$(docker inspect -f '{{.State.ExitCode}}' "$("${compose[@]}" ps -aq "$node" 2>/dev/null || "${compose[@]}" ps -q "$node")")
	[ "$code" = 0 ] || fail "$node: exit code $code: $("${compose[@]}" logs --tail 5 "$node" 2>&1)"
done
"${compose[@]}" up -d
whole
[ "$(cli n1 GET visits)" = "$value" ] || fail "a stop of all has lost something"
say "all were stopped and are back"
say "passed"
