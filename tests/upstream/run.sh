#!/usr/bin/env bash
# PostgreSQL's own test suites through pgscrim: regression, isolation and libpq_pipeline as an exempt role, where everything must
# pass; and the regression suite as a restricted role with rules on the suite's own tables (suite `restricted`), where most
# statements are refused, but nothing may hang, lose its place in the protocol, or fail the proxy's own checks.
# Suite `lockstep` compares, statement by statement, the regression suite through pgscrim as a restricted role whose rules protect
# another table with the suite straight: what is not refused must answer alike, or the difference has a mechanical reason (see there).
# LOCKSTEP_FILES picks files of it: the whole takes most of an hour, for after each DDL the catalog is read; LOCKSTEP_REFUSED names a file
# for the statements that pgscrim alone refuses.
# Suite `grammar` gives the regression suite's statements to tests/grammar.rs.
# usage: tests/upstream/run.sh [regress|isolation|pipeline|restricted|lockstep|grammar …]     (`make test-upstream` runs all)
#
# Needs a Debian-like system with the server package, gcc, make and perl. The source of the installed server version is
# fetched with apt (user-space lists; the system's own stay as they are), built once, and kept in target/upstream.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
bindir=${PGSCRIM_PG_BIN:-$(pg_config --bindir 2>/dev/null || ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)}
[ -x "$bindir/postgres" ] || bindir=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
major=$("$bindir/postgres" --version | grep -oE '[0-9]+' | head -n 1)
version=$("$bindir/postgres" --version | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
# Socket files need short paths, and the server, which is not root, must reach everything.
work=${PGSCRIM_UPSTREAM_DIR:-${TMPDIR:-/tmp}/pgscrim-upstream-$major}
suites=("$@"); [ ${#suites[@]} -gt 0 ] || suites=(regress isolation pipeline restricted lockstep grammar)

as_server=()
[ "$(id -u)" != 0 ] || as_server=(setpriv --reuid=postgres --regid=postgres --clear-groups)

fetch() {
    mkdir -p "$work/fetch/lists" "$work/fetch/cache"
    (
        cd "$work/fetch"
        if ! ls postgresql-*.orig.tar.bz2 >/dev/null 2>&1; then
            codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
            printf 'deb-src http://deb.debian.org/debian %s main\ndeb-src http://deb.debian.org/debian %s-updates main\ndeb-src http://deb.debian.org/debian-security %s-security main\n' \
                "$codename" "$codename" "$codename" > src.list
            apt=(-qq -o Dir::Etc::sourcelist="$PWD/src.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$PWD/lists" -o Dir::Cache="$PWD/cache")
            apt-get "${apt[@]}" update
            package=$(dpkg-query -W -f '${Version}' "postgresql-$major")
            apt-get "${apt[@]}" source --download-only "postgresql-$major=$package"
        fi
    )
    mkdir -p "$work/src"
    tar -xjf "$work/fetch"/postgresql-*.orig.tar.bz2 -C "$work/src" --strip-components=1
}

build() {
    [ -x "$work/src/src/test/modules/libpq_pipeline/libpq_pipeline" ] && return
    [ -f "$work/src/configure" ] || fetch
    (
        cd "$work/src"
        [ -f config.status ] || ./configure --without-readline --without-zlib --without-icu >configure.out 2>&1 || { tail configure.out; exit 1; }
        for folder in src/test/regress src/test/isolation src/test/modules/libpq_pipeline contrib/spi; do
            # As if by itself: below another make it would take the generated headers for made.
            env -u MAKELEVEL -u MAKEFLAGS -u MFLAGS make -s -j 2 -C "$folder" >"make-$(basename "$folder").out" 2>&1 || { tail "make-$(basename "$folder").out"; exit 1; }
        done
    )
}

started=()
finish() {
    for pid in "${started[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
}
trap finish EXIT

port_free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start() {
    rm -rf "$work/data" "$work/run"
    mkdir -p "$work/run/rules"
    [ "$(id -u)" != 0 ] || chown -R postgres "$work"
    "${as_server[@]}" "$bindir/initdb" -D "$work/data" -U postgres --auth=trust --encoding=UTF8 --no-locale --no-sync >/dev/null
    upstream=$(port_free)
    "${as_server[@]}" "$bindir/postgres" -D "$work/data" -k "$work/run" -p "$upstream" -c listen_addresses=127.0.0.1 -c fsync=off \
        -c max_connections=200 -c max_prepared_transactions=2 -c dynamic_library_path="$work/src/src/test/regress:\$libdir" >"$work/run/server.log" 2>&1 &
    started+=($!)
    for _ in $(seq 100); do "$bindir/pg_isready" -q -h 127.0.0.1 -p "$upstream" && break; sleep 0.1; done
    for database in regression isolation_regression pipeline restricted lockstep_a lockstep_b; do
        "$bindir/psql" -Xq -h 127.0.0.1 -p "$upstream" -U postgres -d postgres -c "CREATE DATABASE $database TEMPLATE template0" \
            -c "ALTER DATABASE $database SET lc_messages TO 'C'" -c "ALTER DATABASE $database SET lc_monetary TO 'C'" \
            -c "ALTER DATABASE $database SET lc_numeric TO 'C'" -c "ALTER DATABASE $database SET lc_time TO 'C'" \
            -c "ALTER DATABASE $database SET bytea_output TO 'hex'" -c "ALTER DATABASE $database SET timezone_abbreviations TO 'Default'"
    done
}

# Everybody is exempt.
exempt_rules() {
    printf 'policy = "upstream"\n\n[[role]]\nname = "everybody"\nmatch = { database = ["%s"] }\nexempt = true\n' "$1"
}

# Some of the tables that the suite's test_setup makes hold personal data.
restricted_rules() {
    cat <<'RULES'
policy = "upstream-restricted"
[category.text]
columns = ["public.person.name", "public.text_tbl.f1"]
[category.word]
columns = ["public.onek.stringu1", "public.tenk1.stringu1"]
[category.number]
columns = ["public.int8_tbl.q1"]
[category.none]
columns = ["public.onek.unique1", "public.onek.unique2", "public.tenk1.unique1", "public.tenk1.unique2", "public.tenk1.two",
           "public.tenk1.hundred", "public.int8_tbl.q2", "public.person.age", "public.person.location"]
[[role]]
name = "tester"
match = { user = ["tester"] }
see = { text = "full", word = "withhold", number = { mask = "num_round", k = 10 } }
[[role]]
name = "owner"
match = { user = ["postgres"] }
exempt = true
RULES
}

# Starts a proxy for one database with the rules in the file.
proxy() {
    port=$(port_free); metrics=$(port_free)
    cat > "$work/run/pgscrim.toml" <<CONF
listen = ["127.0.0.1:$port"]
metrics = "127.0.0.1:$metrics"
rules = "$work/run/rules"
[upstream]
url = "postgres://postgres@127.0.0.1:$upstream/$1"
[audit]
path = "$work/run/audit-$1.jsonl"
CONF
    "$top/target/release/pgscrim" serve --config "$work/run/pgscrim.toml" >"$work/run/proxy-$1.log" 2>&1 &
    started+=($!)
    for _ in $(seq 200); do python3 - "$metrics" <<'PY' && return
import sys, urllib.request
try:
    sys.exit(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/readyz", timeout=5).status != 200)
except OSError:
    sys.exit(1)
PY
        sleep 0.1
    done
    cat "$work/run/proxy-$1.log"; exit 1
}

build
(cd "$top" && cargo build --release --quiet)
start
status=0
for suite in "${suites[@]}"; do
    case $suite in
    regress)
        exempt_rules regression > "$work/run/rules/rules.toml"
        proxy regression
        (cd "$work/src/src/test/regress" && "${as_server[@]}" ./pg_regress --bindir="$bindir" --inputdir=. --outputdir="$work/run" --dlpath=. \
            --schedule=./parallel_schedule --max-concurrent-tests=20 --host=127.0.0.1 --port="$port" --user=postgres --use-existing --dbname=regression) || status=1
        ;;
    isolation)
        exempt_rules isolation_regression > "$work/run/rules/rules.toml"
        proxy isolation_regression
        (cd "$work/src/src/test/isolation" && "${as_server[@]}" ./pg_isolation_regress --bindir="$bindir" --inputdir=. --outputdir="$work/run" \
            --schedule=./isolation_schedule --host=127.0.0.1 --port="$port" --user=postgres --use-existing --dbname=isolation_regression) || status=1
        ;;
    pipeline)
        exempt_rules pipeline > "$work/run/rules/rules.toml"
        proxy pipeline
        cd "$work/src/src/test/modules/libpq_pipeline"
        for test in $(./libpq_pipeline tests); do
            if ./libpq_pipeline "$test" "host=127.0.0.1 port=$port user=postgres dbname=pipeline" >"$work/run/pipeline-$test.log" 2>&1; then
                echo "ok     $test"
            else
                echo "FAILED $test"; tail -n 3 "$work/run/pipeline-$test.log"; status=1
            fi
        done
        cd "$top"
        ;;
    restricted)
        # The tables come first, by their owner and past the proxy.
        regress=("${as_server[@]}" ./pg_regress --bindir="$bindir" --inputdir=. --outputdir="$work/run" --dlpath=. --use-existing --dbname=restricted
            --max-concurrent-tests=20 --host=127.0.0.1)
        (cd "$work/src/src/test/regress" && "${regress[@]}" --port="$upstream" --user=postgres test_setup >/dev/null)
        "$bindir/psql" -Xq -h 127.0.0.1 -p "$upstream" -U postgres -d restricted -c 'CREATE ROLE tester LOGIN; GRANT ALL ON SCHEMA public TO tester' \
            -c 'GRANT ALL ON ALL TABLES IN SCHEMA public TO tester'
        restricted_rules > "$work/run/rules/rules.toml"
        proxy restricted
        # Its tests fail; what counts is that it ends, and what the proxy says of itself.
        (cd "$work/src/src/test/regress" && timeout 3600 "${regress[@]}" --port="$port" --user=tester --schedule=./parallel_schedule \
            >"$work/run/restricted.out" 2>&1) || [ $? != 124 ] || { echo 'FAILED restricted: the suite hangs'; status=1; }
        python3 - "$metrics" "$work/run/audit-restricted.jsonl" <<'PY' || status=1
import collections, json, sys, urllib.request
page = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=10).read().decode()
counts = collections.Counter()
for line in open(sys.argv[2]):
    event = json.loads(line)
    counts[event["refusal"] or event["outcome"]] += 1
print("statements by outcome or refusal:", dict(counts.most_common()))
bad = [code for code in ("PGS0301", "PGS0303", "PGS0405", "broken") if counts[code]]
tripped = [line for line in page.splitlines() if line.startswith("pgscrim_tripwire_total") and not line.endswith(" 0")]
print("FAILED restricted:" if bad or tripped else "ok     restricted", *bad, *tripped)
sys.exit(bool(bad or tripped))
PY
        ;;
    lockstep)
        (cd "$work/src/src/test/regress" && for database in lockstep_a lockstep_b; do
            "${as_server[@]}" ./pg_regress --bindir="$bindir" --inputdir=. --outputdir="$work/run" --dlpath=. --use-existing \
                --dbname=$database --host=127.0.0.1 --port="$upstream" --user=postgres test_setup >/dev/null
        done)
        "$bindir/psql" -Xq -h 127.0.0.1 -p "$upstream" -U postgres -d postgres \
            -c "DO 'BEGIN CREATE ROLE tester LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END'" \
            -c 'CREATE ROLE migration LOGIN IN ROLE tester'
        for database in lockstep_a lockstep_b; do
            "$bindir/psql" -Xq -h 127.0.0.1 -p "$upstream" -U postgres -d $database -c "GRANT ALL ON DATABASE $database TO tester" \
                -c 'GRANT ALL ON SCHEMA public TO tester; GRANT ALL ON ALL TABLES IN SCHEMA public TO tester' \
                -c 'CREATE SCHEMA shop; CREATE TABLE shop.customers (id int, phone text); GRANT ALL ON SCHEMA shop TO tester; GRANT ALL ON shop.customers TO tester'
        done
        cat > "$work/run/rules/rules.toml" <<'RULES'
policy = "upstream-lockstep"
[category.phone]
columns = ["shop.customers.phone"]
[category.none]
columns = ["shop.customers.id"]
[[role]]
name = "migration"
match = { user = ["migration"] }
exempt = true
[[role]]
name = "tester"
match = { user = ["tester"] }
see = { phone = "phone_last" }
RULES
        proxy lockstep_b
        "$top/target/test-venv/bin/python" "$top/tests/upstream/lockstep.py" "$work/src/src/test/regress/sql" \
            "$work/src/src/test/regress/parallel_schedule" "$upstream" "$port" ${LOCKSTEP_FILES:-} || status=1
        ;;
    grammar)
        (cd "$top" && PGSCRIM_REGRESS_SQL="$work/src/src/test/regress/sql" cargo nextest run --locked --test grammar --no-capture) || status=1
        ;;
    *) echo "unknown suite $suite" >&2; exit 2 ;;
    esac
done
exit $status
