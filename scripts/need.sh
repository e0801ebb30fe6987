#!/bin/sh
# Makes sure that programs are there: installs what is missing with apt-get (as root or through sudo) or Homebrew, and says so.
# usage: scripts/need.sh [cc|postgres|python|openssl|kill|perl|npm|drivers|sqlsmith|proxies|valgrind|strace|perf]…
set -eu

say() { printf '%s\n' "$*" >&2; }

# As `pgscrim demo` looks for them (src/cli/demo/postgres.rs).
has_postgres() {
    if [ -n "${PGSCRIM_PG_BIN:-}" ]; then
        [ -x "$PGSCRIM_PG_BIN/postgres" ] && [ -x "$PGSCRIM_PG_BIN/initdb" ]
        return
    fi
    command -v postgres >/dev/null && command -v initdb >/dev/null && return
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
        /home/linuxbrew/.linuxbrew/opt/postgresql*/bin /Applications/Postgres.app/Contents/Versions/*/bin; do
        [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ] && [ -x "$folder/psql" ] && return
    done
    return 1
}

# What `make test-drivers` runs beside Node and Python; where it looks for them is Debian's.
has_drivers() {
    for program in javac go ruby php odbcinst; do command -v $program >/dev/null || return 1; done
    [ -e /usr/share/java/postgresql.jar ] && [ -d /usr/share/gocode/src/github.com/jackc/pgx/v4 ] &&
        [ -d /usr/share/gocode/src/github.com/lib/pq ] && ruby -rpg -e '' 2>/dev/null &&
        php -m | grep -q pdo_pgsql && odbcinst -q -d | grep -q 'PostgreSQL Unicode'
}

# Debian's python3 comes without what venv needs.
has_python() { command -v python3 >/dev/null && python3 -c 'import venv, ensurepip' 2>/dev/null; }

apt='' brew='' missing=''
need() {
    missing="$missing $1" apt="$apt $2" brew="$brew $3"
}
for what in "$@"; do
    case $what in
    cc) command -v cc >/dev/null || need "a C compiler (cc)," 'gcc libc6-dev' gcc ;;
    postgres)
        has_postgres || need 'PostgreSQL server programs,' 'postgresql postgresql-client' postgresql@17
        ;;
    python) has_python || need 'Python 3 with venv,' 'python3 python3-venv' python3 ;;
    openssl) command -v openssl >/dev/null || need openssl, openssl openssl ;;
    kill) [ -x /bin/kill ] || [ -x /usr/bin/kill ] || need kill, procps '' ;;
    npm) command -v npm >/dev/null || need npm, 'nodejs npm' node ;;
    drivers)
        has_drivers || need 'database drivers,' 'default-jdk-headless libpostgresql-jdbc-java golang-go golang-github-jackc-pgx-v4-dev golang-github-lib-pq-dev ruby ruby-pg php-cli php-pgsql unixodbc odbcinst odbc-postgresql' ''
        ;;
    proxies)
        { [ -x /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null; } && { [ -x /usr/sbin/haproxy ] || command -v haproxy >/dev/null; } ||
            need 'PgBouncer and HAProxy,' 'pgbouncer haproxy' 'pgbouncer haproxy'
        ;;
    valgrind) { command -v valgrind && command -v callgrind_annotate; } >/dev/null || need valgrind, valgrind '' ;;
    perf) command -v perf >/dev/null || need perf, linux-perf '' ;;
    strace) command -v strace >/dev/null || need strace, strace '' ;;
    perl) command -v perl >/dev/null || need perl, perl perl ;;
    sqlsmith) command -v sqlsmith >/dev/null || need sqlsmith, sqlsmith '' ;;
    *) say "scripts/need.sh: unknown: $what"; exit 2 ;;
    esac
done
[ -n "$missing" ] || exit 0

missing=${missing# } missing=${missing%,}
if command -v apt-get >/dev/null; then
    as_root=''
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { say "missing: $missing. As root, run: apt-get install$apt"; exit 1; }
        as_root=sudo
    fi
    say "missing: $missing. Installing with ${as_root:+$as_root }apt-get:$apt"
    $as_root apt-get update -q
    # Nobody asked for a server of the system's that runs from now on: none is made while the package comes in.
    conf=/etc/postgresql-common/createcluster.conf
    case $apt in
    *postgresql*)
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends postgresql-common
        $as_root cp -p "$conf" "$conf.pgscrim"
        restore() { $as_root mv -f "$conf.pgscrim" "$conf"; }
        trap restore EXIT
        trap 'exit 130' INT TERM
        # The last word on a key wins.
        echo 'create_main_cluster = false' | $as_root tee -a "$conf" >/dev/null
        ;;
    esac
    # shellcheck disable=SC2086 # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $apt
elif command -v brew >/dev/null; then
    say "missing: $missing. Installing with brew:$brew"
    # shellcheck disable=SC2086 # a list of words
    brew install $brew
else
    say "missing: $missing. Install it with your system's packages; for PostgreSQL, PGSCRIM_PG_BIN may name the folder of the programs."
    exit 1
fi
