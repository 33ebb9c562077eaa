#!/usr/bin/env bash
# Installs what tests/web runs: a browser from the distribution's packages, and the library that drives it, in a fixed version,
# in the cache folder that tests/setup.sh uses. It takes no time when they are there.
# shellcheck disable=SC2046 # lists of package names are split on purpose
set -euo pipefail
cd "$(dirname "$0")"

readonly web=${XAPROXY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xaproxy}/web

say() { printf '==> %s\n' "$*" >&2; }
fail() { printf 'setup.sh: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }

missing_packages() {
	# The shell without windows is a third of the whole browser; older releases have only that.
	have chromium-headless-shell || have chromium || if apt-cache show chromium-headless-shell >/dev/null 2>&1; then echo chromium-headless-shell; else echo chromium; fi
	have npm || echo nodejs npm
}

if [[ $(missing_packages) ]]; then
	have apt-get || fail "this script knows Debian and Ubuntu only; install these yourself: $(missing_packages | xargs)"
	root=()
	[[ $(id -u) == 0 ]] || root=(sudo)
	"${root[@]}" apt-get update >&2 || say "apt-get update reported problems; going on with the lists that are there"
	say "installing" $(missing_packages)
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-remove --no-install-recommends -o Dpkg::Use-Pty=0 $(missing_packages) >&2
fi
if ! cmp --silent package-lock.json "$web/package-lock.json"; then
	say "installing playwright-core"
	mkdir -p "$web"
	cp package.json package-lock.json "$web"
	npm ci --prefix "$web" --no-audit --no-fund --ignore-scripts >&2 || { rm "$web/package-lock.json"; exit 1; }
fi
