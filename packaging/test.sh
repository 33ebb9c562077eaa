#!/usr/bin/env bash
# Tests what release.sh has built in dist/: that another folder gives the same bytes, and that the Debian package of this machine is installed,
# serves, and is removed. It is installed into a folder of its own.
#
#   packaging/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '==> %s\n' "$*" >&2; }
fail() { printf 'test.sh: %s\n' "$*" >&2; exit 1; }

arch=$(dpkg --print-architecture)
package=$(compgen -G "dist/xaproxy_*_$arch.deb") || fail "no package for $arch in dist/: run packaging/release.sh"
work=$(mktemp -d)
pid=
trap '[[ -z $pid ]] || kill -KILL "$pid" 2>/dev/null; rm -rf "$work"' EXIT

say "the same commit, in another folder: the same bytes"
git clone -q . "$work/elsewhere"
"$work/elsewhere/packaging/release.sh" "$(dpkg-deb -f "$package" Version | tr '~' -)" 2>/dev/null >/dev/null
diff dist/SHA256SUMS "$work/elsewhere/dist/SHA256SUMS" || fail "two builds differ"

root=$work/root
mkdir -p "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info"
touch "$root/var/lib/dpkg/status"
run_dpkg() { dpkg --root="$root" --force-script-chrootless --force-not-root --log=/dev/null "$@"; }

say "install"
run_dpkg --install "$package"
for file in usr/bin/xaproxy usr/lib/systemd/system/xaproxy.service usr/lib/systemd/system/xaproxy.socket usr/share/man/man1/xaproxy.1.gz \
	usr/share/man/man1/xaproxy-recover.1.gz usr/share/bash-completion/completions/xaproxy usr/share/doc/xaproxy/config.example.toml; do
	[[ -s $root/$file ]] || fail "$file is not installed"
done
if command -v systemd-analyze >/dev/null; then
	sed "s|/usr/bin/xaproxy|$root/usr/bin/xaproxy|" "$root/usr/lib/systemd/system/xaproxy.service" >"$work/xaproxy.service"
	cp "$root/usr/lib/systemd/system/xaproxy.socket" "$work/"
	wrong=$(systemd-analyze verify --man=no "$work/xaproxy.service" 2>&1 | grep -F xaproxy || true)
	[[ -z $wrong ]] || fail "the unit: $wrong"
fi
file "$root/usr/bin/xaproxy" 2>/dev/null | grep -q 'dynamically linked' && fail "the program is not static"
"$root/usr/bin/xaproxy" check --config "$root/usr/share/doc/xaproxy/config.example.toml" >/dev/null || fail "the example is not valid"

say "start, serve, stop"
cat >"$work/xaproxy.toml" <<'END'
[server]
listen = "127.0.0.1:0"
log_format = "json"
[decision]
dir = "log"
[[users]]
name = "app"
password = "app"
[[backends]]
name = "main"
kind = "mariadb"
port = 1 # nobody is there: statements are refused until somebody is
user = "x"
password = "x"
[[schemas]]
name = "shop"
backend = "main"
END
"$root/usr/bin/xaproxy" serve --config "$work/xaproxy.toml" 2>"$work/said" &
pid=$!
for _ in $(seq 300); do
	grep -q '"message":"serving"' "$work/said" && break
	kill -0 "$pid" 2>/dev/null || fail "it has ended: $(cat "$work/said")"
	read -rt 0.1 <> <(:) || true
done
port=$(sed -n 's/.*"listen":"127.0.0.1:\([0-9]*\)".*"message":"serving".*/\1/p' "$work/said")
[[ $port ]] || fail "it does not serve: $(cat "$work/said")"
exec 3<>"/dev/tcp/127.0.0.1/$port"
head -c 40 <&3 | grep -aq 'xaproxy' || fail "no greeting of a MySQL server"
exec 3>&-
"$root/usr/bin/xaproxy" status --config "$work/xaproxy.toml" >/dev/null || [[ $? == 1 ]] || fail "status does not work"
kill -TERM "$pid"
wait "$pid" || fail "it ended with status $?: $(cat "$work/said")"
pid=

say "remove"
run_dpkg --remove xaproxy
[[ ! -e $root/usr/bin/xaproxy && ! -e $root/usr/lib/systemd/system/xaproxy.service ]] || fail "files are left"
run_dpkg --purge xaproxy
say "ok"
