#!/usr/bin/env bash
# Installs the client libraries and tools of tests/clients, in fixed versions, into the cache folder that tests/setup.sh
# uses. It takes seconds when they are there. What has no client of its own for fixed versions (PHP, Perl, MariaDB's
# tools) comes from the distribution's packages, as do toolchains that are missing. MySQL's tools are those of tests/setup.sh.
# shellcheck disable=SC2046,SC2086 # lists of package names are split on purpose
set -euo pipefail
cd "$(dirname "$0")"

readonly cache=${XAPROXY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xaproxy}
readonly clients=$cache/clients

say() { printf '==> %s\n' "$*" >&2; }
fail() { printf 'setup.sh: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }

# Runs the rest of its arguments unless they have already run for the same content of a file.
once() { # folder in the cache, file that names the versions, command
	local stamp=$clients/$1.stamp file=$2
	shift 2
	cmp --silent "$file" "$stamp" && return
	say "$*"
	"$@"
	cp "$file" "$stamp"
}

# --- packages of the distribution ------------------------------------------------------------------------------------

# Python.h of the python3 that is first in the path; a distribution has it in a package of its own.
python_header() {
	python3 -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null
}

missing_packages() {
	have php && php -m | grep -q '^mysqli$' || echo php-cli php-mysql
	perl -MDBD::mysql -e1 2>/dev/null || echo libdbd-mysql-perl
	have mariadb-dump && have mariadb-admin || echo mariadb-client
	have sysbench || echo sysbench
	have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
	have cc && have pkg-config || echo gcc libc6-dev pkg-config
	python_header || echo python3-dev
	pkg-config --exists libmariadb 2>/dev/null || echo libmariadb-dev
	have npm || echo nodejs npm
	have javac && have mvn || echo default-jdk-headless maven
	# Some releases have a newer Rust under the second name, for what their browsers need.
	have cargo || if apt-cache show cargo-web >/dev/null 2>&1; then echo cargo-web; else echo cargo; fi
}

distribution() {
	local missing root=()
	missing=$(missing_packages)
	[[ $missing ]] || return 0
	have apt-get || fail "this script knows Debian and Ubuntu only; install these yourself:" $missing
	[[ $(id -u) == 0 ]] || root=(sudo)
	"${root[@]}" apt-get update >&2 || say "apt-get update reported problems; going on with the lists that are there"
	missing=$(missing_packages) # names of packages may depend on the lists
	say "installing" $missing
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-remove --no-install-recommends -o Dpkg::Use-Pty=0 $missing >&2
}

# --- libraries -------------------------------------------------------------------------------------------------------

python() {
	[[ -x $clients/python/bin/python ]] || python3 -m venv "$clients/python"
	"$clients/python/bin/pip" install --quiet --requirement python/requirements.txt
}

node() {
	mkdir -p "$clients/node"
	cp node/package.json node/package-lock.json "$clients/node/"
	(cd "$clients/node" && npm ci --silent --no-audit --no-fund)
}

java() {
	rm -rf "$clients/java"
	mvn -q -B -ntp -f java/pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory="$clients/java"
}

# The programs, and the test suite of the driver itself, which its module has. Go builds what has changed only.
go_programs() (
	cd go
	go build -o "$clients/go/" ./sqldriver ./gorm ./once
	go test -c -vet=off -o "$clients/go/driver.test" github.com/go-sql-driver/mysql
)

rust() {
	cargo build --quiet --locked --manifest-path rust/Cargo.toml --target-dir "$clients/rust"
}

# --- MySQL's tools, started like the console that tests/setup.sh has unpacked ----------------------------------------

mysql_tools() {
	local bin=$cache/mysql-9.7/bin tool
	[[ -x $bin/mysql ]] || fail "no MySQL in $cache: run tests/setup.sh"
	mkdir -p "$clients/mysql"
	for tool in mysqldump mysqladmin; do
		sed "s|/usr/bin/mysql'|/usr/bin/$tool'|" "$bin/mysql" >"$clients/mysql/$tool"
		chmod 755 "$clients/mysql/$tool"
	done
}

mkdir -p "$clients"
distribution
go_programs
once python python/requirements.txt python
once node node/package-lock.json node
once java java/pom.xml java
rust
mysql_tools
