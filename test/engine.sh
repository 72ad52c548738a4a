# What the tests with containers have in common; it is sourced, from the root of the
# repository. They say so and succeed where no container engine answers.
# shellcheck shell=bash

export COMPOSE_PROJECT_NAME=ferricd-test-$$
export FERRICD_IMAGE=ferricd:test

say() { echo "container: $*"; }
fail() {
	say "FAILED: $*"
	exit 1
}

if ! timeout 20 docker info >/dev/null 2>&1; then
	say "skipped: no container engine answers"
	exit 0
fi
if docker compose version >/dev/null 2>&1; then
	compose=(docker compose)
elif command -v docker-compose >/dev/null; then
	compose=(docker-compose)
else
	say "skipped: neither 'docker compose' nor docker-compose is installed"
	exit 0
fi

base=$(sed -n 's/^FROM \(golang[^ ]*\).*/\1/p' Dockerfile)
scratch=$(mktemp -d)
made=() # images that are made here, and removed afterwards
cleanup() {
	"${compose[@]}" down --volumes --timeout 1 >/dev/null 2>&1 || true
	docker rmi "$FERRICD_IMAGE" >/dev/null 2>&1 || true
	if ((${#made[@]})); then # what was built on it carries its label
		docker rmi "${made[@]}" >/dev/null 2>&1 || true
		docker container prune -f --filter "label=made-by=$COMPOSE_PROJECT_NAME" >/dev/null 2>&1 || true
		docker image prune -f --filter "label=made-by=$COMPOSE_PROJECT_NAME" >/dev/null 2>&1 || true
	fi
	chmod -R u+w "$scratch"
	rm -rf "$scratch"
}
trap cleanup EXIT

# put copies programs of this machine, and the libraries that they need, into the
# directory $1/$2.
put() {
	local root=$1 to=$1/$2 file
	mkdir -p "$to"
	for file in "${@:3}"; do
		cp -L "$file" "$to/"
		{ ldd "$file" || true; } 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
			mkdir -p "$root$(dirname "$library")"
			cp -L "$library" "$root$library"
		done
	done
}

# import_image makes an image of a directory; what follows are changes to it.
import_image() {
	local root=$1 name=$2 changes=() change
	shift 2
	for change in "$@" "LABEL made-by=$COMPOSE_PROJECT_NAME"; do
		changes+=(--change "$change")
	done
	tar -C "$root" -c . | docker import "${changes[@]}" - "$name" >/dev/null
	made+=("$name")
	chmod -R u+w "$root"
	rm -rf "$root"
}

# need_image pulls an image or, without a registry, calls a function that makes it.
need_image() {
	if docker image inspect "$1" >/dev/null 2>&1; then
		return
	fi
	if timeout 120 docker pull -q "$1" >/dev/null 2>&1; then
		say "pulled $1"
		return
	fi
	say "no registry: $1 is made from what is on this machine"
	"$2"
}

# import_base makes an image of a shell, mkdir, the Go toolchain and the modules
# that go.mod names.
import_base() {
	local root=$scratch/base
	put "$root" bin /bin/sh "$(command -v mkdir)"
	mkdir -p "$root"/{tmp,root,usr/local,go/pkg/mod,etc}
	mkdir -p "$root/usr/local/go"
	cp -a "$(go env GOROOT)/." "$root/usr/local/go"
	GOMODCACHE=$root/go/pkg/mod GOFLAGS=-modcacherw \
		GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" go mod download
	import_image "$root" "$base" \
		'ENV PATH=/usr/local/go/bin:/bin GOPATH=/go GOTOOLCHAIN=local HOME=/root'
}

# healthy waits until the engine has found the container's server healthy.
healthy() {
	local health
	for _ in $(seq 200); do
		health=$(docker inspect -f '{{.State.Health.Status}}' "$1")
		[ "$health" = starting ] || break
		sleep 0.3
	done
	[ "$health" = healthy ] || fail "health is $health: $(docker inspect -f '{{json .State.Health}}' "$1"); $(docker logs --tail 20 "$1" 2>&1)"
}
