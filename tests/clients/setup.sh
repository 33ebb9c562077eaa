#!/usr/bin/env bash
# Installs the client libraries of tests/clients, in fixed versions, into the cache folder that tests/setup.sh uses. It
# takes seconds when they are there. PHP and Perl come from the distribution's packages.
set -euo pipefail
cd "$(dirname "$0")"

readonly clients=${XAPROXY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xaproxy}/clients

say() { printf '==> %s\n' "$*" >&2; }

# Runs the rest of its arguments unless they have already run for the same content of a file.
once() { # folder in the cache, file that names the versions, command
	local stamp=$clients/$1.stamp file=$2
	shift 2
	cmp --silent "$file" "$stamp" && return
	say "$*"
	"$@"
	cp "$file" "$stamp"
}

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

distribution() {
	local missing=()
	command -v php >/dev/null && php -m | grep -q '^mysqli$' || missing+=(php-cli php-mysql)
	perl -MDBD::mysql -e1 2>/dev/null || missing+=(libdbd-mysql-perl)
	((${#missing[@]})) || return 0
	say "installing ${missing[*]}"
	local root=()
	[[ $(id -u) == 0 ]] || root=(sudo)
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-remove --no-install-recommends "${missing[@]}" >&2
}

mkdir -p "$clients"
(cd go && go build -o "$clients/go/" ./sqldriver ./gorm)
once python python/requirements.txt python
once node node/package-lock.json node
once java java/pom.xml java
distribution
