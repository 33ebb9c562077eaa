#!/usr/bin/env bash
# Checks the models of the commit protocol with spin: that no way leads to a world in which an invariant does not hold, and that
# each planted bug leads to one.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

walk() { # store, bug, further options of the verifier: what it says
	local dir=$work/$1-$2
	mkdir -p "$dir"
	cp servers.pml "$1.pml" "$dir"
	(cd "$dir" && spin -DBUG="$2" -a -o3 "$1.pml" >spin.log && cc -O2 -DSAFETY -DVECTORSZ=2048 -DCOLLAPSE -o pan pan.c 2>cc.log && ./pan -m1000000 -w24 "${@:3}") ||
		{ cat "$dir"/*.log >&2; exit 1; }
}

failed=0
printf '%-12s %-74s %10s  %s\n' store bug states result
for store in file participant; do
	said=$(walk "$store" 0)
	result="every invariant holds"
	if ! grep -q 'errors: 0' <<<"$said" || grep -q 'too small' <<<"$said"; then result="FAILED" failed=1 && echo "$said" >&2; fi
	printf '%-12s %-74s %10s  %s\n' "$store" none "$(awk '/states, stored/ { print $1 }' <<<"$said")" "$result"
	while read -r bug what; do
		said=$(walk "$store" "$bug" -E) # -E: a world without a way out is no answer to a bug
		result=$(sed -n 's/^pan:1: assertion violated.*(at depth \([0-9]*\))$/caught at depth \1/p' <<<"$said")
		[[ $result ]] || result="NOT CAUGHT" failed=1
		printf '%-12s %-74s %10s  %s\n' "$store" "$what" "$(awk '/states, stored/ { print $1 }' <<<"$said")" "$result"
	done < <(sed -n 's/^ \*   \([0-9]\)  //p; ' "$store.pml" | nl -w1 -s' ')
done
exit $failed
