#!/usr/bin/env bash
# Installs or unpacks the database servers and tools that the tests, the demo and the benchmarks run. Running it again
# costs nothing. It starts no service, needs none running, and removes no installed package.
#
#   tests/setup.sh         everything, with promtool
#   tests/setup.sh demo    the servers of the demo: MariaDB, and MySQL where it can be had
#   tests/setup.sh chaos   the same, with PostgreSQL, and libfaketime, which sets the clocks of servers
#   tests/setup.sh bench   those of the demo, with haproxy and sysbench
#   tests/setup.sh tools   gofumpt and staticcheck
#   tests/setup.sh model   spin, which checks docs/model, and the C compiler that it needs
#
# MySQL is unpacked into a cache folder, beside whatever is installed: XAPROXY_CACHE, or xaproxy in the user's cache folder.
# shellcheck disable=SC2086,SC2016 # lists of package names are split on purpose; $(...) in single quotes is for apt
set -euo pipefail

readonly gofumpt_version=v0.12.0
readonly staticcheck_version=v0.8.2

readonly cache=${XAPROXY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xaproxy}
readonly mysql=$cache/mysql-9.7
readonly tools=$cache/bin
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '==> %s\n' "$*" >&2; }
fail() { printf 'setup.sh: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }

mode=${1:-all}
want_servers=false want_postgres=false want_clock=false want_bench=false want_tools=false want_model=false want_promtool=false
case $mode in
	all) want_servers=true want_postgres=true want_clock=true want_bench=true want_tools=true want_promtool=true ;;
	demo) want_servers=true ;;
	chaos) want_servers=true want_postgres=true want_clock=true ;;
	bench) want_servers=true want_bench=true ;;
	tools) want_tools=true ;;
	model) want_model=true ;;
	*) fail "unknown mode '$mode': give none, demo, chaos, bench, tools or model" ;;
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
if $want_promtool; then set_up_promtool; fi
if $want_tools; then
	set_up_tool gofumpt mvdan.cc/gofumpt $gofumpt_version
	set_up_tool staticcheck honnef.co/go/tools/cmd/staticcheck $staticcheck_version
fi
report
[[ $complete == true || $mode == demo ]] || fail "not everything could be set up; see above"
