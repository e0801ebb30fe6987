#!/usr/bin/env python3
"""Proxies side by side: pgbench straight to the server, through HAProxy, PgBouncer (session mode) and pgscrim, in turn.

    make side-by-side                  # release build, proxies from the package manager, about a quarter of an hour
    SECONDS=2 ROUNDS=1 python3 bench/side_by_side.py --quick

In: the release binary, PostgreSQL's programs, haproxy and pgbouncer. Out: bench/results/side-by-side.md and .svg. Every cell is the
median of rounds in which the contestants take turns; CPU is that of the proxy's process alone. Absolute figures say
something of this machine only: compare within one run.
"""

import glob
import os
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECONDS = float(os.environ.get("SECONDS", "5"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
QUICK = "--quick" in sys.argv
MODES = ["simple", "extended", "prepared"]
CLIENTS = [16] if QUICK else [1, 16, 64]
SCALE = 10
TICK = os.sysconf("SC_CLK_TCK")
# The programs of PostgreSQL take it from here; -d means another thing to each.
os.environ["PGDATABASE"] = "postgres"

RULES = """
policy = "bench"
[category.none]
columns = ["public.pgbench_accounts.aid"]
[category.money]
columns = ["public.pgbench_accounts.abalance", "public.pgbench_accounts.bid"]
[category.text]
columns = ["public.pgbench_accounts.filler"]
[[role]]
name = "masked"
match = { user = ["masked"] }
see = { money = { mask = "num_round", k = 10 }, text = "full" }
[[role]]
name = "exempt"
match = { user = ["bench"] }
exempt = true
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    for folder in sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True):
        found = found or shutil.which(name, path=folder)
    return found


class Stage:
    """A private server and every proxy in front of it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="pgscrim-bench-")
        self.children = []
        # PostgreSQL does not run as root.
        self.user = None
        if os.getuid() == 0:
            self.user = "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"
            shutil.chown(self.folder, self.user)
        os.chmod(self.folder, 0o755)

    def run(self, *command, **more):
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, user=self.user,
                              cwd=self.folder, **more).stdout

    def start(self, *command, user=None):
        log = open(os.path.join(self.folder, os.path.basename(command[0]) + ".log"), "a")
        child = subprocess.Popen(command, stdout=log, stderr=log, user=user, cwd=self.folder)
        self.children.append(child)
        return child

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as out:
            out.write(text)
        return path

    def postgres(self):
        data = os.path.join(self.folder, "data")
        self.run(program("initdb"), "-D", data, "-U", "bench", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.port = free_port()
        settings = ["shared_buffers=512MB", "max_connections=300", "fsync=off", f"port={self.port}",
                    f"unix_socket_directories={self.folder}", "listen_addresses=127.0.0.1"]
        self.server = self.start(program("postgres"), "-D", data, *[part for one in settings for part in ("-c", one)], user=self.user)
        wait(self.port)
        while subprocess.run([program("psql"), *self.to(self.port), "-c", "SELECT 1"], capture_output=True).returncode:
            time.sleep(0.2)
        self.sql("CREATE ROLE masked LOGIN; CREATE ROLE pgscrim LOGIN")
        self.run(program("pgbench"), *self.to(self.port), "-i", "-q", "-s", str(SCALE))
        self.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO masked")
        self.sql("VACUUM ANALYZE pgbench_accounts")

    def to(self, port, user="bench"):
        return ["-h", "127.0.0.1", "-p", str(port), "-U", user]

    def sql(self, text):
        return self.run(program("psql"), "-X", "-A", "-t", *self.to(self.port), "-c", text)

    def haproxy(self):
        port = free_port()
        path = self.write("haproxy.cfg", f"""global
  nbthread 2
  maxconn 6000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen pg
  bind 127.0.0.1:{port}
  server one 127.0.0.1:{self.port}
""")
        return port, self.start(program("haproxy"), "-f", path, "-db", user=self.user)

    def pgbouncer(self):
        port = free_port()
        users = self.write("users.txt", '"bench" ""\n"masked" ""\n')
        path = self.write("pgbouncer.ini", f"""[databases]
postgres = host=127.0.0.1 port={self.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = session
max_client_conn = 6000
default_pool_size = 250
server_reset_query =
log_connections = 0
log_disconnections = 0
""")
        return port, self.start(program("pgbouncer"), path, user=self.user)

    def pgscrim(self, name="pgscrim"):
        port = free_port()
        self.write(f"{name}/rules/rules.toml", RULES)
        self.write(f"{name}/audit.key", "a key of the audit log of a benchmark\n")
        path = self.write(f"{name}/pgscrim.toml", f"""listen = "127.0.0.1:{port}"
metrics = "127.0.0.1:{free_port()}"
rules = "{self.folder}/{name}/rules"
[upstream]
url = "postgres://pgscrim@127.0.0.1:{self.port}/postgres"
[audit]
path = "{self.folder}/{name}/audit.jsonl"
[limits]
connections = 6000
""")
        child = self.start(os.path.join(HERE, "target/release/pgscrim"), "serve", "--config", path)
        return port, child

    def end(self):
        for child in reversed(self.children):
            child.send_signal(signal.SIGINT if child is getattr(self, "server", None) else signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def wait(port):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


def cpu(pid):
    """Seconds that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1])


class Contestant:
    def __init__(self, name, port, pid, user="bench"):
        self.name, self.port, self.pid, self.user = name, port, pid, user


def pgbench(stage, who, mode, clients):
    """Transactions a second, CPU microseconds of the proxy a transaction, average latency in milliseconds."""
    before = cpu(who.pid) if who.pid else 0
    out = stage.run(program("pgbench"), *stage.to(who.port, who.user), "-n", "-S", "-M", mode, "-c", str(clients),
                    "-j", str(min(clients, 2)), "-T", str(int(max(SECONDS, 1))))
    used = cpu(who.pid) - before if who.pid else 0
    failed = re.search(r"number of failed transactions: (\d+)", out)
    if failed and failed[1] != "0":
        raise SystemExit(f"{who.name}: {out}")
    done = int(re.search(r"actually processed: (\d+)", out)[1])
    tps = float(re.search(r"tps = ([\d.]+) \(without", out)[1])
    latency = float(re.search(r"latency average = ([\d.]+) ms", out)[1])
    return tps, used / done * 1e6, latency


def bulk(stage, who, what):
    """Megabytes a second."""
    psql = [program("psql"), "-X", "-q", *stage.to(who.port, who.user)]
    begin = time.monotonic()
    if what == "SELECT of 1,000,000 rows":
        command = [*psql, "-A", "-t", "-c", "SELECT * FROM pgbench_accounts"]
    elif what == "COPY out":
        command = [*psql, "-c", "COPY (SELECT * FROM pgbench_accounts) TO STDOUT"]
    else:
        # As the owner of the table: who loads is not restricted.
        command = [*psql, "-c", "COPY bulk FROM STDIN"]
    reads = open(stage.load) if what == "COPY in" else subprocess.DEVNULL
    with tempfile.TemporaryFile() as out:
        subprocess.run(command, stdin=reads, stdout=out, check=True)
        took = time.monotonic() - begin
        size = os.path.getsize(stage.load) if what == "COPY in" else os.fstat(out.fileno()).st_size
    if what == "COPY in":
        stage.sql("TRUNCATE bulk")
    return size / took / 1e6


def idle_memory(stage, who, count):
    """KiB that one idle connection takes in the proxy."""
    import struct
    before = resident(who.pid)
    parameters = b"user\0" + who.user.encode() + b"\0database\0postgres\0\0"
    packet = struct.pack("!ii", 8 + len(parameters), 196608) + parameters
    sockets = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", who.port))
        connection.sendall(packet)
        answer = b""
        while not answer.endswith(b"Z\0\0\0\x05I"):
            more = connection.recv(4096)
            if not more:
                raise SystemExit(f"{who.name}: a connection was refused: {answer}")
            answer += more
        sockets.append(connection)
    time.sleep(1)
    grown = resident(who.pid) - before
    for connection in sockets:
        connection.close()
    time.sleep(1)
    return grown / count


def main():
    for name in ["pgbench", "haproxy", "pgbouncer", "initdb"]:
        if not program(name):
            raise SystemExit(f"{name} is not installed: run `make side-by-side`, or sh scripts/need.sh postgres proxies")
    stage = Stage()
    try:
        measure(stage)
    finally:
        stage.end()


def measure(stage):
    stage.postgres()
    haproxy, pgbouncer, pgscrim = stage.haproxy(), stage.pgbouncer(), stage.pgscrim()
    contestants = [Contestant("direct", stage.port, None)]
    contestants.append(Contestant("HAProxy", haproxy[0], haproxy[1].pid))
    contestants.append(Contestant("PgBouncer", pgbouncer[0], pgbouncer[1].pid))
    contestants.append(Contestant("pgscrim, masked", pgscrim[0], pgscrim[1].pid, "masked"))
    contestants.append(Contestant("pgscrim, exempt", pgscrim[0], pgscrim[1].pid))
    for who in contestants:
        wait(who.port)
    # Before anything else has made the proxies grow; both kinds of pgscrim are one process.
    memory = {who.name: idle_memory(stage, who, 100 if QUICK else 200) for who in contestants if who.pid and who.user == "bench"}
    results = {}
    for mode in MODES:
        for clients in CLIENTS:
            rounds = {who.name: [] for who in contestants}
            for number in range(ROUNDS):
                # Who comes first has a cold machine, so that takes turns too.
                order = contestants[number % len(contestants):] + contestants[:number % len(contestants)]
                for who in order:
                    rounds[who.name].append(pgbench(stage, who, mode, clients))
            for name, measured in rounds.items():
                results[mode, clients, name] = [statistics.median(column) for column in zip(*measured)]
                print(mode, clients, name, results[mode, clients, name], flush=True)
    stage.load = os.path.join(stage.folder, "load")
    with open(stage.load, "w") as out:
        subprocess.run([program("psql"), "-X", *stage.to(stage.port), "-c", "COPY pgbench_accounts TO STDOUT"], stdout=out, check=True)
    stage.sql("CREATE UNLOGGED TABLE bulk (LIKE pgbench_accounts)")
    bulks = {}
    for what in ["SELECT of 1,000,000 rows", "COPY out", "COPY in"]:
        rounds = {who.name: [] for who in contestants}
        for _ in range(ROUNDS):
            for who in contestants:
                if what == "COPY in" and who.user == "masked":
                    continue
                rounds[who.name].append(bulk(stage, who, what))
        bulks[what] = {name: statistics.median(values) for name, values in rounds.items() if values}
        print(what, bulks[what], flush=True)
    peak = {who.name: resident(who.pid) for who in contestants if who.pid}
    report(stage, [who.name for who in contestants], results, bulks, memory, peak)


def report(stage, names, results, bulks, memory, peak):
    folder = os.path.join(HERE, "bench/results")
    os.makedirs(folder, exist_ok=True)
    version = stage.sql("SHOW server_version").strip()
    cpus = os.cpu_count()
    pgbouncer = subprocess.run([program("pgbouncer"), "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    haproxy = subprocess.run([program("haproxy"), "-v"], capture_output=True, text=True).stdout.split("\n")[0]
    lines = [
        f"PostgreSQL {version}, {pgbouncer} (session mode), {haproxy.split(' - ')[0]}, {cpus} CPUs shared by server, proxies and pgbench; "
        f"pgbench -S, scale {SCALE}, three masked columns, audit on, {ROUNDS} rounds of {int(SECONDS)} s in turn, medians.",
        "",
        "| mode, clients | " + " | ".join(f"{name}" for name in names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for mode in MODES:
        for clients in CLIENTS:
            cells = []
            for name in names:
                tps, used, latency = results[mode, clients, name]
                extra = f", {used:.1f} µs" if used else ""
                cells.append(f"{tps:,.0f} tps, {latency:.3f} ms{extra}")
            lines.append(f"| {mode}, {clients} | " + " | ".join(cells) + " |")
    for what, values in bulks.items():
        lines.append(f"| {what} | " + " | ".join(f"{values[name]:,.0f} MB/s" if name in values else "–" for name in names) + " |")
    lines.append("| an idle connection | " + " | ".join(f"{memory[name]:.1f} KiB" if name in memory else "–" for name in names) + " |")
    lines.append("| memory at the end | " + " | ".join(f"{peak[name] / 1024:.1f} MiB" if name in peak else "–" for name in names) + " |")
    with open(os.path.join(folder, "side-by-side.md"), "w") as out:
        out.write("\n".join(lines) + "\n")
    plot(os.path.join(folder, "side-by-side.svg"), names, results, lines[0])
    print("\n".join(lines))


def plot(path, names, results, conditions):
    """Bars of transactions a second, relative to PgBouncer."""
    groups = [(mode, clients) for mode in MODES for clients in CLIENTS]
    colours = ["#9a9a9a", "#c9b37e", "#7f9fc4", "#2f6f4f", "#7fb89a"]
    width, bar, gap = 1000, 0, 0
    gap = (width - 80) / len(groups)
    bar = gap * 0.8 / len(names)
    top = max(results[mode, clients, name][0] / results[mode, clients, "PgBouncer"][0] for mode, clients in groups for name in names)
    height = 300
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 110}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height + 110}" fill="white"/>']
    parity = height - height * 0.9 / top + 10
    parts.append(f'<line x1="60" x2="{width - 10}" y1="{parity:.1f}" y2="{parity:.1f}" stroke="#7f9fc4" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="4" y="{parity + 4:.1f}">PgBouncer</text>')
    for number, (mode, clients) in enumerate(groups):
        left = 70 + number * gap
        for index, name in enumerate(names):
            ratio = results[mode, clients, name][0] / results[mode, clients, "PgBouncer"][0]
            size = height * 0.9 * ratio / top
            parts.append(f'<rect x="{left + index * bar:.1f}" y="{height - size + 10:.1f}" width="{bar * 0.92:.1f}" height="{size:.1f}" '
                         f'fill="{colours[index]}"><title>{name}: {ratio:.2f}</title></rect>')
        parts.append(f'<text x="{left + gap * 0.4:.1f}" y="{height + 28}" text-anchor="middle">{mode}, {clients}</text>')
    for index, name in enumerate(names):
        left = 70 + index * 170
        parts.append(f'<rect x="{left}" y="{height + 44}" width="12" height="12" fill="{colours[index]}"/>')
        parts.append(f'<text x="{left + 18}" y="{height + 54}">{name}</text>')
    parts.append(f'<text x="70" y="{height + 80}" fill="#555">Transactions a second, relative to PgBouncer. Higher is better.</text>')
    parts.append(f'<text x="70" y="{height + 98}" fill="#555" font-size="9">{conditions}</text></svg>')
    with open(path, "w") as out:
        out.write("\n".join(parts))


if __name__ == "__main__":
    main()
