#!/usr/bin/env bash
# Builds the image, starts it with Compose, uses it, and stops it:
#
#	test/container.sh
#
# It says so and succeeds where no container engine answers. Without a registry it
# makes the base image that the Dockerfile asks for from the Go toolchain of this
# machine, and removes it afterwards. It publishes FERRICD_PORT (16379) on
# 127.0.0.1.
set -euo pipefail
exec </dev/null
cd "$(dirname "$0")/.."

export FERRICD_PORT=${FERRICD_PORT:-16379}
. test/engine.sh
need_image "$base" import_base

# cli sends one inline command and prints the reply, with redis-cli where there is
# one, through the published port.
cli() {
	if command -v redis-cli >/dev/null; then
		redis-cli -h 127.0.0.1 -p "$FERRICD_PORT" "$@"
		return
	fi
	exec 3<>"/dev/tcp/127.0.0.1/$FERRICD_PORT"
	printf '%s\r\n' "$*" >&3
	IFS= read -r -t 5 line <&3
	exec 3>&-
	line=${line%$'\r'}
	printf '%s\n' "${line#[+:]}"
}
expect() {
	local want=$1 have
	shift
	have=$(cli "$@")
	[ "$have" = "$want" ] || fail "$*: want $want, have $have"
}

say "builds"
"${compose[@]}" build
size=$(docker image inspect -f '{{.Size}}' $FERRICD_IMAGE)
say "image of $((size / 1000000)) MB"
[ "$(docker image inspect -f '{{.Config.User}}' $FERRICD_IMAGE)" = 65532:65532 ] || fail "the image does not name its user by number"

say "starts"
"${compose[@]}" up -d
id=$("${compose[@]}" ps -q ferricd)
[ -n "$id" ] || fail "no container"
healthy "$id"
docker logs "$id"
say "healthy"
docker cp "$id:/data" - | tar --numeric-owner -tv | grep -q ' 65532/65532 .* data/$' || fail "/data belongs to somebody else"

expect PONG PING
expect 1 INCR visits
expect 2 INCR visits
expect 5 APPEND s hello
expect 1 LPUSH l a
docker exec "$id" /ferricd healthcheck || fail "the health check of a healthy server"
if docker exec "$id" /ferricd healthcheck --port 1 2>/dev/null; then
	fail "the health check passes where nobody listens"
fi
say "served"

began=$SECONDS
"${compose[@]}" stop
took=$((SECONDS - began))
code=$(docker inspect -f '{{.State.ExitCode}}' "$id")
[ "$code" = 0 ] || fail "exit code $code: $(docker logs --tail 5 "$id" 2>&1)"
[ "$took" -le 10 ] || fail "stopping took $took s"
say "stopped in $took s with exit code 0"

"${compose[@]}" up -d
id=$("${compose[@]}" ps -q ferricd)
healthy "$id"
expect 3 INCR visits
say "what it had is there after a stop"
expect OK CONFIG SET appendfsync always
expect 4 INCR visits
docker kill "$id" >/dev/null
"${compose[@]}" up -d
healthy "$("${compose[@]}" ps -q ferricd)"
expect 5 INCR visits
say "and after it was killed"
say "passed"
