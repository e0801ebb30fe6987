#!/bin/sh
# Walks through a Medusa shop on a private PostgreSQL, straight or through pgscrim, and counts the statements.
# usage: ROLE=direct|exempt|clear|masked WORK=DIR tests/shops/medusa/run.sh
#
# ROLE      direct: the owner straight to the server; exempt: the owner through pgscrim; clear: a restricted role that sees
#           everything; masked: setup and store straight, then the admin API by a restricted role that sees masks
# WORK      folder for server data, shop, logs and records; another walk in the same folder is spared the installation
# MODULES   a node_modules with package.json installed; without it npm installs one into WORK
# PGSCRIM   the program (target/release/pgscrim)
# PG_BIN    folder with initdb and pg_ctl, when they are not in PATH
# PG_USER   who runs the server when this runs as root (postgres)
# PG_PORT, PROXY_PORT, METRICS_PORT, SHOP_PORT
# STRAIGHT, PHASES   what is walked straight before, and what by ROLE
set -eu

here=$(cd "$(dirname "$0")" && pwd)
: "${ROLE:?direct, exempt, clear or masked}" "${WORK:?a folder}"
PGSCRIM=${PGSCRIM:-$here/../../../target/release/pgscrim}
PG_USER=${PG_USER:-postgres}
PG_PORT=${PG_PORT:-55432} PROXY_PORT=${PROXY_PORT:-56432} METRICS_PORT=${METRICS_PORT:-59632} SHOP_PORT=${SHOP_PORT:-9931}
case $ROLE in
direct) port=$PG_PORT login=shop_owner rules='' ;;
exempt) port=$PROXY_PORT login=shop_owner rules=rules-clear ;;
clear) port=$PROXY_PORT login=shop_app rules=rules-clear ;;
masked)
    port=$PROXY_PORT login=shop_support rules=rules-masked
    STRAIGHT=${STRAIGHT-setup store} PHASES=${PHASES-admin}
    ;;
*) echo "unknown role: $ROLE" >&2; exit 2 ;;
esac
STRAIGHT=${STRAIGHT-} PHASES=${PHASES-setup store admin}
[ -z "${PG_BIN:-}" ] || PATH=$PG_BIN:$PATH
mkdir -p "$WORK/pg"
WORK=$(cd "$WORK" && pwd)
shop='' proxy='' server=''

# PostgreSQL does not run as root. $1 is a command line for the shell.
unprivileged() {
    if [ "$(id -u)" = 0 ]; then
        su -s /bin/sh "$PG_USER" -c "PATH='$PATH'; cd /; $1"
    else
        sh -c "$1"
    fi
}

sql() { PGOPTIONS='-c client_min_messages=warning' psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$PG_PORT" -U postgres "$@"; }

stop_shop() {
    [ -z "$shop" ] || { kill "$shop" 2>/dev/null && wait "$shop" || true; }
    shop=''
}

stop_proxy() {
    [ -z "$proxy" ] || { kill "$proxy" 2>/dev/null && wait "$proxy" || true; }
    proxy=''
}

stop() {
    stop_shop
    stop_proxy
    [ -z "$server" ] || unprivileged "pg_ctl -D '$WORK/pg/data' -m fast -w stop >/dev/null" || true
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

start_server() {
    [ "$(id -u)" != 0 ] || chown "$PG_USER" "$WORK/pg"
    [ -d "$WORK/pg/data" ] || unprivileged "initdb -D '$WORK/pg/data' -U postgres -A trust --no-sync -E UTF8 >/dev/null"
    options="-p $PG_PORT -k $WORK/pg -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"
    server=yes
    unprivileged "pg_ctl -D '$WORK/pg/data' -l '$WORK/pg/log' -o '$options' -w start >/dev/null"
}

medusa() { (cd "$WORK/shop" && exec node node_modules/@medusajs/cli/cli.js "$@"); }

# The schema and the first user, in a database that each walk copies.
install() {
    mkdir -p "$WORK/shop"
    cp "$here/package.json" "$here/medusa-config.js" "$WORK/shop"
    if [ ! -e "$WORK/shop/node_modules" ]; then
        if [ -n "${MODULES:-}" ]; then
            ln -s "$MODULES" "$WORK/shop/node_modules"
        else
            (cd "$WORK/shop" && npm install --no-audit --no-fund)
        fi
    fi
    sql -d postgres -c 'DROP DATABASE IF EXISTS medusa' -c 'DROP DATABASE IF EXISTS medusa_template' \
        -c 'DROP ROLE IF EXISTS pgscrim, shop_app, shop_support, shop_owner'
    sql -d postgres -f "$here/roles.sql"
    export DATABASE_URL="postgres://shop_owner@127.0.0.1:$PG_PORT/medusa_template"
    medusa db:migrate >"$WORK/install.log" 2>&1
    medusa user -e admin@shop.vn -p supersecret >>"$WORK/install.log" 2>&1
    touch "$WORK/installed"
}

start_proxy() {
    cat >"$WORK/$ROLE.toml" <<END
listen = "127.0.0.1:$PROXY_PORT"
metrics = "127.0.0.1:$METRICS_PORT"
rules = "$here/$rules"
[upstream]
url = "postgres://pgscrim@127.0.0.1:$PG_PORT/medusa"
[audit]
path = "$WORK/$ROLE.audit.jsonl"
END
    "$PGSCRIM" serve --config "$WORK/$ROLE.toml" >"$WORK/$ROLE.pgscrim.log" 2>&1 &
    proxy=$!
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        ! grep -q listening "$WORK/$ROLE.pgscrim.log" || return 0
        sleep 1
    done
    cat "$WORK/$ROLE.pgscrim.log" >&2
    return 1
}

# $1: a name for log and record; $2: login and port; then phases.
walk() {
    name=$1
    export DATABASE_URL="postgres://$2/medusa"
    shift 2
    (cd "$WORK/shop" && exec node node_modules/@medusajs/cli/cli.js start) >"$WORK/$name.medusa.log" 2>&1 &
    shop=$!
    python3 "$here/medusa_shop.py" "http://127.0.0.1:$SHOP_PORT" "$WORK/$name.record.jsonl" "$WORK/$ROLE.state.json" "$@"
    # What the shop does after its answers.
    sleep 2
    stop_shop
}

export PORT="$SHOP_PORT" NODE_ENV=production MEDUSA_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1
start_server
[ -e "$WORK/installed" ] || install
sql -d postgres -c 'DROP DATABASE IF EXISTS medusa' -c 'CREATE DATABASE medusa TEMPLATE medusa_template OWNER shop_owner'
rm -f "$WORK/$ROLE".*
# shellcheck disable=SC2086
[ -z "$STRAIGHT" ] || walk "$ROLE.before" "shop_owner@127.0.0.1:$PG_PORT" $STRAIGHT
[ -z "$rules" ] || start_proxy
# shellcheck disable=SC2086
walk "$ROLE" "$login@127.0.0.1:$port" $PHASES
if [ -n "$rules" ]; then
    stop_proxy
    python3 "$here/count.py" "$WORK/$ROLE.audit.jsonl"
fi
