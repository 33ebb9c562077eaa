#!/usr/bin/env bash
# Builds what is given to others, into dist/: static programs for Linux and macOS in archives with man pages and completions, and Debian packages.
# The same commit gives the same bytes.
#
#   packaging/release.sh [VERSION]   VERSION: by default that of the newest tag and the commit
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '==> %s\n' "$*" >&2; }

readonly out=$PWD/dist
epoch=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH=$epoch CGO_ENABLED=0 LC_ALL=C TZ=UTC
umask 022
version=${1:-$(git describe --tags --match 'v[0-9]*' 2>/dev/null || echo "0.0.0-$(git log -1 --format=%cd.%h --date=format:%Y%m%d)")}
version=${version#v}
rm -rf "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" "$work/man" "$work/completions"

pack() { # tar that depends on nothing but its files
	tar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -cf - "$@" | gzip -9n
}

say "man pages and completions"
go test -count=1 ./cmd/xaproxy -run TestManual -manual "$work/man" >/dev/null
go build -trimpath -tags gms_pure_go -o "$work/host" ./cmd/xaproxy
for shell in bash zsh fish; do "$work/host" completion $shell >"$work/completions/xaproxy.$shell"; done

deb() { # deb ARCH PROGRAM
	local root=$work/deb-$1 share
	share=$root/usr/share
	mkdir -p "$root/DEBIAN" "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/usr/lib/sysusers.d" "$root/etc/xaproxy" "$share/man/man1" \
		"$share/doc/xaproxy" "$share/bash-completion/completions" "$share/zsh/vendor-completions" "$share/fish/vendor_completions.d"
	install -m 755 "$2" "$root/usr/bin/xaproxy"
	install -m 644 packaging/xaproxy.service packaging/xaproxy.socket "$root/usr/lib/systemd/system/"
	install -m 644 packaging/sysusers.conf "$root/usr/lib/sysusers.d/xaproxy.conf"
	for page in "$work"/man/*; do gzip -9n <"$page" >"$share/man/man1/${page##*/}.gz"; done
	install -m 644 "$work/completions/xaproxy.bash" "$share/bash-completion/completions/xaproxy"
	install -m 644 "$work/completions/xaproxy.zsh" "$share/zsh/vendor-completions/_xaproxy"
	install -m 644 "$work/completions/xaproxy.fish" "$share/fish/vendor_completions.d/xaproxy.fish"
	install -m 644 LICENSE "$share/doc/xaproxy/copyright"
	install -m 644 config.example.toml "$share/doc/xaproxy/"
	gzip -9n <CHANGELOG.md >"$share/doc/xaproxy/changelog.gz"
	for script in postinst prerm postrm; do install -m 755 "packaging/$script" "$root/DEBIAN/"; done
	cat >"$root/DEBIAN/control" <<-END
		Package: xaproxy
		Version: ${version/-/\~}
		Architecture: $1
		Section: database
		Priority: optional
		Maintainer: the xaproxy developers <maintainers@xaproxy.invalid>
		Installed-Size: $(du -sk --apparent-size "$root/usr" | cut -f1)
		Description: one MySQL endpoint in front of many databases
		 It routes each statement to the shards (MySQL, MariaDB, PostgreSQL) that hold
		 the rows, and makes the client's transaction atomic across them.
	END
	find "$root" -exec touch --no-dereference --date="@$epoch" {} +
	dpkg-deb --root-owner-group --uniform-compression -Zxz --build "$root" "$out/xaproxy_${version/-/\~}_$1.deb" >/dev/null
}

for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do
	say "$target"
	os=${target%/*} arch=${target#*/}
	name=xaproxy-$version-$os-$arch
	mkdir "$work/$name"
	GOOS=$os GOARCH=$arch go build -trimpath -tags gms_pure_go -ldflags '-s -w -buildid=' -o "$work/$name/xaproxy" ./cmd/xaproxy
	cp -r LICENSE README.md CHANGELOG.md config.example.toml "$work/man" "$work/completions" "$work/$name/"
	(cd "$work" && pack "$name") >"$out/$name.tar.gz"
	if [[ $os == linux ]]; then deb "$arch" "$work/$name/xaproxy"; fi
done
(cd "$out" && sha256sum -- * >SHA256SUMS)
say "dist/: $(du -sh "$out" | cut -f1)"
cat "$out/SHA256SUMS"
