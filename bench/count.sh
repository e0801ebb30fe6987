#!/bin/sh
# Instructions per statement and stage, counted by valgrind: unlike times they are the same on a busy machine.
# Usage: sh bench/count.sh [CASE …]
set -eu
cd "$(dirname "$0")/.."
${CARGO:-cargo} bench --locked --bench count --no-run 2>/dev/null
binary=$(ls -t target/release/deps/count-* | grep -v '\.d$' | head -n 1)
rounds=${ROUNDS:-50}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
[ $# -gt 0 ] || set -- "point, literal" "point, parameter" "unprotected" "join of an ORM" "CTEs and a window" "update" "list of 600"
for case in "$@"; do
    echo "$case"
    valgrind --tool=callgrind --callgrind-out-file="$out/callgrind" "$binary" "$case" "$rounds" >"$out/log" 2>&1
    callgrind_annotate --inclusive=yes --threshold=100 "$out/callgrind" 2>/dev/null |
        awk -v rounds="$rounds" '/count::stage_/ {
            count = $1; gsub(",", "", count)
            name = $0; sub(/.*stage_/, "", name); sub(/[^a-z_].*/, "", name)
            if (!(name in seen)) { seen[name] = count / rounds; order[++n] = name }
        } END {
            for (i = 1; i <= n; i++)
                printf "  %-12s %9d  %5.2f of sqlparser\n", order[i], seen[order[i]], seen[order[i]] / seen["sqlparser"]
        }'
done
