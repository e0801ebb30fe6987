#!/bin/sh
# Instructions per statement and stage, counted by valgrind: unlike times they are the same on a busy machine.
# Usage: sh bench/count.sh [CASE …]       all stages, and libpg_query's parse beside them
#        sh bench/count.sh --check        fails when a plan takes more than bench/bounds.txt allows
set -eu
cd "$(dirname "$0")/.."
check=
if [ "${1:-}" = --check ]; then
    check=1
    shift
fi
${CARGO:-cargo} bench --locked --bench count --no-run 2>/dev/null
binary=$(ls -t target/release/deps/count-* | grep -v '\.d$' | head -n 1)
rounds=${ROUNDS:-50}
# Blocks that were freed are taken again at once, whatever was allocated before: without this a count differs by a tenth with the
# state that the allocator happens to be in.
export GLIBC_TUNABLES=glibc.malloc.tcache_count=60000:glibc.malloc.tcache_max=4194304
# With PostgreSQL's own parser, if `make test-venv` has been run.
python=target/test-venv/bin/python
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
[ $# -gt 0 ] || set -- "point, literal" "point, parameter" "unprotected" "join of an ORM" "CTEs and a window" "update" \
    "update, returning" "insert" "upsert" "delete" "merge" "list of 600"
for case in "$@"; do
    echo "$case"
    valgrind --tool=callgrind --callgrind-out-file="$out/callgrind" "$binary" "$case" "$rounds" >"$out/log" 2>&1 ||
        { cat "$out/log"; exit 1; }
    callgrind_annotate --inclusive=yes --threshold=100 "$out/callgrind" 2>/dev/null |
        awk -v rounds="$rounds" '/count::stage_/ {
            count = $1; gsub(",", "", count)
            name = $0; sub(/.*stage_/, "", name); sub(/[^a-z_].*/, "", name)
            if (!(name in seen)) { seen[name] = count / rounds; order[++n] = name }
        } END {
            for (i = 1; i <= n; i++)
                printf "  %-12s %9d  %5.2f of sqlparser\n", order[i], seen[order[i]], seen[order[i]] / seen["sqlparser"]
        }' >"$out/counts"
    # How many bytes the server gets, beside how many the client sent.
    awk '/^sent / { printf "  %-12s %9d  %5.2f of the client'"'"'s\n", $1, $2, $2 / $3 }' "$out/log" >>"$out/counts"
    # PostgreSQL's own parser, as bindings call it, and without what it writes for them.
    if [ -z "$check" ] && [ -x "$python" ]; then
        valgrind --tool=callgrind --callgrind-out-file="$out/callgrind" --toggle-collect=pg_query_parse_protobuf_opts \
            "$python" bench/libpg_query.py "$(sed -n 's/^text //p' "$out/log")" "$rounds" >"$out/parsed" 2>&1 || { cat "$out/parsed"; exit 1; }
        callgrind_annotate --inclusive=yes --threshold=100 "$out/callgrind" 2>/dev/null |
            awk -v rounds="$rounds" -v sqlparser="$(awk '$1 == "sqlparser" { print $2 }' "$out/counts")" '
                { count = $1; gsub(",", "", count) }
                /:pg_query_parse_protobuf_opts/ { name = "libpg_query" } /:raw_parser/ { name = "its parser" }
                name { printf "  %-12s %9d  %5.2f of sqlparser\n", name, count / rounds, count / rounds / sqlparser; name = "" }' >>"$out/counts"
    fi
    cat "$out/counts"
    [ -n "$check" ] || continue
    # Each line of the bounds: case | stage | the most instructions.
    grep "^$case |" bench/bounds.txt >"$out/bounds" || { echo "bench/bounds.txt has no bounds of \"$case\""; exit 1; }
    awk -F'|' 'NR == FNR { split($0, part, " "); counted[part[1]] = part[2]; next } {
            stage = $2; gsub(" ", "", stage)
            if (!(stage in counted)) print $1 "not counted: " stage
            else if (counted[stage] > $3 + 0) print $1 "too many: " stage " takes " counted[stage] ", and the bound is" $3
        }' "$out/counts" "$out/bounds" >>"$out/beyond"
done
[ -z "$check" ] || [ ! -s "$out/beyond" ] || {
    cat "$out/beyond"
    echo "A plan takes more instructions than bench/bounds.txt allows: mend it, or raise the bound and say why."
    exit 1
}
