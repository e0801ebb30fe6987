#!/usr/bin/env python3
"""Proxies side by side: pgbench straight to the server, through a forwarder that does no more than move bytes (floor.c), HAProxy,
PgBouncer (session mode) and pgscrim, in turn.

    make side-by-side                  # release build, proxies from the package manager, about a quarter of an hour
    SECONDS=2 ROUNDS=1 python3 bench/side_by_side.py --quick

In: the release binary, PostgreSQL's programs, haproxy and pgbouncer. Out: bench/results/side-by-side.md and .svg. Every cell is the
median of rounds in which the contestants take turns; CPU is that of the proxy's process alone. Absolute figures say
something of this machine only: compare within one run.

PgCat and PgDog are not there: neither is on crates.io (November 2026), nor in Debian.
"""

import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from stage import HERE, SCALE, Stage, cpu, listens, needed, peak, program, resident

SECONDS = max(int(float(os.environ.get("SECONDS", "3"))), 1)
ROUNDS = int(os.environ.get("ROUNDS", "3"))
QUICK = "--quick" in sys.argv
MODES = ["simple", "extended", "prepared"]
CLIENTS = [1, 16] if QUICK else [1, 16, 64]
# Where one worker thread is set against one for each processor.
SCALING = 16
# What COPY moves is the table so many times: about a gigabyte.
TIMES = 1 if QUICK else 10
ROWS, OUT, IN = "SELECT of 1,000,000 rows", "COPY out", "COPY in"


class Contestant:
    def __init__(self, name, port, pid, user="bench"):
        self.name, self.port, self.pid, self.user = name, port, pid, user


def pgbench(stage, who, mode, clients):
    """Transactions a second, CPU microseconds of the proxy a transaction, average, median and 99th percentile of the latency in
    milliseconds; the last two of one client only, whose every transaction is written down."""
    # What is done once, such as planning a text, is not measured.
    once = [program("pgbench"), *stage.to(who.port, who.user), "-n", "-S", "-M", mode]
    stage.run(*once, "-c", "1", "-t", "50")
    log = os.path.join(stage.folder, "latency")
    logged = ["-l", f"--log-prefix={log}"] if clients == 1 else []
    before = cpu(who.pid) if who.pid else 0
    out = stage.run(*once, *logged, "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(SECONDS))
    used = cpu(who.pid) - before if who.pid else 0
    failed = re.search(r"number of failed transactions: (\d+)", out)
    if failed and failed[1] != "0":
        raise SystemExit(f"{who.name}: {out}")
    done = int(re.search(r"actually processed: (\d+)", out)[1])
    tps = float(re.search(r"tps = ([\d.]+) \(without", out)[1])
    latency = float(re.search(r"latency average = ([\d.]+) ms", out)[1])
    return tps, used / done * 1e6, latency, *percentiles(stage, logged)


def percentiles(stage, logged):
    times = []
    for name in os.listdir(stage.folder):
        if name.startswith("latency."):
            path = os.path.join(stage.folder, name)
            with open(path) as lines:
                times.extend(int(line.split()[2]) / 1000 for line in lines)
            os.remove(path)
    if not logged or not times:
        return 0.0, 0.0
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def bulk(stage, who, what):
    """Megabytes a second."""
    psql = [program("psql"), "-X", "-q", *stage.to(who.port, who.user)]
    begin = time.monotonic()
    if what == IN:
        # As the owner of the table: who loads is not restricted.
        loads = subprocess.Popen([*psql, "-c", "COPY bulk FROM STDIN"], stdin=subprocess.PIPE)
        with open(stage.load, "rb") as file, loads.stdin as into:
            part = file.read()
            for _ in range(TIMES):
                into.write(part)
        if loads.wait():
            raise SystemExit(f"{who.name}: COPY in failed")
        took, size = time.monotonic() - begin, len(part) * TIMES
        stage.sql("TRUNCATE bulk")
        return size / took / 1e6
    if what == ROWS:
        command = [*psql, "-A", "-t", "-c", "SELECT * FROM pgbench_accounts"]
    else:
        select = "SELECT a.* FROM pgbench_accounts a" + (f", generate_series(1, {TIMES})" if TIMES > 1 else "")
        command = [*psql, "-c", f"COPY ({select}) TO STDOUT"]
    size = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reads:
        while part := reads.stdout.read(1 << 20):
            size += len(part)
    if reads.returncode:
        raise SystemExit(f"{who.name}: {what} failed")
    return size / (time.monotonic() - begin) / 1e6


def idle_memory(who, count):
    """KiB that one idle connection takes in the proxy."""
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


def in_turn(contestants, rounds, measure):
    """Of each contestant the median of each figure."""
    measured = {who.name: [] for who in contestants}
    for number in range(rounds):
        # Who comes first has a cold machine, so that takes turns too.
        start = number % len(contestants)
        for who in contestants[start:] + contestants[:start]:
            measured[who.name].append(measure(who))
    return {name: [statistics.median(figures) for figures in zip(*all_rounds)] for name, all_rounds in measured.items()}


def main():
    needed("pgbench", "haproxy", "pgbouncer", "initdb", "cc")
    begin = time.monotonic()
    stage = Stage()
    try:
        measure(stage)
    finally:
        stage.end()
    print(f"{time.monotonic() - begin:.0f} s in all")


def measure(stage):
    stage.postgres()
    floor, haproxy, pgbouncer, pgscrim, single = stage.floor(), stage.haproxy(), stage.pgbouncer(), stage.pgscrim(), stage.pgscrim("single", 1)
    contestants = [
        Contestant("direct", stage.port, None),
        Contestant("forwarder", floor[0], floor[1].pid),
        Contestant("HAProxy", haproxy[0], haproxy[1].pid),
        Contestant("PgBouncer", pgbouncer[0], pgbouncer[1].pid),
        Contestant("pgscrim, masked", pgscrim[0], pgscrim[1].pid, "masked"),
        Contestant("pgscrim, exempt", pgscrim[0], pgscrim[1].pid),
    ]
    workers = [
        Contestant("exempt, 1 worker", single[0], single[1].pid),
        Contestant("exempt", pgscrim[0], pgscrim[1].pid),
        Contestant("masked, 1 worker", single[0], single[1].pid, "masked"),
        Contestant("masked", pgscrim[0], pgscrim[1].pid, "masked"),
    ]
    for who in contestants + workers:
        listens(who.port)
    # Before anything else has made the proxies grow; both kinds of pgscrim are one process.
    memory = {who.name: idle_memory(who, 100 if QUICK else 200) for who in contestants if who.pid and who.user == "bench"}
    results = {}
    for mode in MODES:
        for clients in CLIENTS:
            results[mode, clients] = in_turn(contestants, ROUNDS, lambda who: pgbench(stage, who, mode, clients))
            print(mode, clients, results[mode, clients], flush=True)
    scaling = {mode: in_turn(workers, ROUNDS, lambda who: pgbench(stage, who, mode, SCALING)) for mode in ("simple", "prepared")}
    print(scaling, flush=True)
    stage.load = os.path.join(stage.folder, "load")
    with open(stage.load, "w") as out:
        subprocess.run([program("psql"), "-X", *stage.to(stage.port), "-c", "COPY pgbench_accounts TO STDOUT"], stdout=out, check=True)
    stage.sql("CREATE UNLOGGED TABLE bulk (LIKE pgbench_accounts)")
    bulks = {}
    for what in [ROWS, OUT, IN]:
        who_may = [who for who in contestants if what != IN or who.user == "bench"]
        bulks[what] = in_turn(who_may, min(ROUNDS, 2), lambda who: [bulk(stage, who, what)])
        print(what, bulks[what], flush=True)
    most = {who.name: peak(who.pid) for who in contestants if who.pid}
    report(stage, [who.name for who in contestants], results, scaling, bulks, memory, most)


def row(name, cells):
    return f"| {name} | " + " | ".join(cells) + " |"


def report(stage, names, results, scaling, bulks, memory, most):
    folder = os.path.join(HERE, "bench/results")
    os.makedirs(folder, exist_ok=True)
    version = stage.sql("SHOW server_version").strip()
    pgbouncer = subprocess.run([program("pgbouncer"), "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    haproxy = subprocess.run([program("haproxy"), "-v"], capture_output=True, text=True).stdout.split("\n")[0]
    conditions = (
        f"PostgreSQL {version}, {pgbouncer} (session mode), {haproxy.split(' - ')[0]}, {os.cpu_count()} CPUs shared by server, proxies and "
        f"pgbench; pgbench -S, scale {SCALE}, three masked columns, audit on, {ROUNDS} rounds of {SECONDS} s in turn, medians.")
    lines = [
        conditions,
        "",
        row("mode, clients", [*names, "masked : PgBouncer", "exempt : PgBouncer"]),
        "|---|" + "---|" * (len(names) + 2),
    ]
    for (mode, clients), of_each in results.items():
        cells = []
        for name in names:
            tps, used, latency, *_ = of_each[name]
            cells.append(f"{tps:,.0f} tps, {latency:.3f} ms" + (f", {used:.1f} µs" if used else ""))
        for kind in ["masked", "exempt"]:
            cells.append(f"{of_each[f'pgscrim, {kind}'][0] / of_each['PgBouncer'][0]:.2f}")
        lines.append(row(f"{mode}, {clients}", cells))
    for mode in MODES:
        of_each = results[mode, 1]
        direct = of_each["direct"]
        added = [f"p50 {of_each[name][3] - direct[3]:+.3f} ms, p99 {of_each[name][4] - direct[4]:+.3f} ms" for name in names[1:]]
        lines.append(row(f"added latency, {mode}, 1", [f"p50 {direct[3]:.3f} ms, p99 {direct[4]:.3f} ms", *added, "", ""]))
    for what, of_each in bulks.items():
        cells = [f"{of_each[name][0]:,.0f} MB/s" if name in of_each else "–" for name in names]
        for kind in ["pgscrim, masked", "pgscrim, exempt"]:
            cells.append(f"{of_each[kind][0] / of_each['PgBouncer'][0]:.2f}" if kind in of_each else "–")
        lines.append(row(what, cells))
    lines.append(row("an idle connection", [*(f"{memory[name]:.1f} KiB" if name in memory else "–" for name in names), "", ""]))
    lines.append(row("most memory", [*(f"{most[name] / 1024:.1f} MiB" if name in most else "–" for name in names), "", ""]))
    lines += ["", row(f"workers, {SCALING} clients", scaling), "|---|" + "---|" * len(scaling)]
    for name in ["exempt, 1 worker", "exempt", "masked, 1 worker", "masked"]:
        lines.append(row(name, [f"{of_each[name][0]:,.0f} tps, {of_each[name][1]:.1f} µs" for of_each in scaling.values()]))
    with open(os.path.join(folder, "side-by-side.md"), "w") as out:
        out.write("\n".join(lines) + "\n")
    plot(os.path.join(folder, "side-by-side.svg"), names, {(*cell, name): figures for cell, of_each in results.items() for name, figures in of_each.items()}, conditions)
    print("\n".join(lines))


def plot(path, names, results, conditions):
    """Bars of transactions a second, relative to PgBouncer."""
    groups = [(mode, clients) for mode in MODES for clients in CLIENTS]
    colours = ["#9a9a9a", "#cccccc", "#c9b37e", "#7f9fc4", "#2f6f4f", "#7fb89a"]
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
        left = 70 + index * 155
        parts.append(f'<rect x="{left}" y="{height + 44}" width="12" height="12" fill="{colours[index]}"/>')
        parts.append(f'<text x="{left + 18}" y="{height + 54}">{name}</text>')
    parts.append(f'<text x="70" y="{height + 80}" fill="#555">Transactions a second, relative to PgBouncer. Higher is better.</text>')
    parts.append(f'<text x="70" y="{height + 98}" fill="#555" font-size="9">{conditions}</text></svg>')
    with open(path, "w") as out:
        out.write("\n".join(parts))


if __name__ == "__main__":
    main()
