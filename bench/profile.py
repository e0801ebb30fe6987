#!/usr/bin/env python3
"""Where the processor time of a transaction goes: pgscrim beside PgBouncer, by samples of perf.

    make profile                       # release build, PgBouncer, perf (Linux)
    CLIENTS=64 MODES=simple WORKERS=1 python3 bench/profile.py

In: the release binary, PostgreSQL's programs, pgbouncer, perf. Out: bench/results/profile.md, microseconds of the proxy's process a
transaction of `pgbench -S` by what the samples stand in, bench/results/profile-*.txt with every function, and of pgscrim
bench/results/flame-*.svg, where inferno is at hand (`make profile` installs it). The time comes from the kernel's accounts of a run
without perf; samples share it out.
"""

import collections
import os
import re
import subprocess
import time

from stage import HERE, TICK, Stage, listens, needed, program

CLIENTS = os.environ.get("CLIENTS", "16")
MODES = os.environ.get("MODES", "simple prepared").split()
SECONDS = os.environ.get("SECONDS", "5")
WORKERS = os.environ.get("WORKERS")
INFERNO = os.path.join(HERE, "target/tools/bin/inferno-")

# What a function belongs to, by the beginning of its name; the first that fits.
PARTS = [
    ("waiting and waking (tokio, mio)", ("tokio::", "<tokio::", "mio::", "<mio::")),
    ("lexer and shape", ("pgscrim::sql::",)),
    ("plan cache and templates", ("pgscrim::engine::", "<dashmap", "dashmap::")),
    ("session: frames, statements in flight, names", ("pgscrim::session::", "<pgscrim::session::", "pgscrim::wire::", "<pgscrim::wire::")),
    ("audit: events and their lines", ("pgscrim::audit::", "<pgscrim::audit::")),
    ("metrics, rules, catalog", ("pgscrim::", "<pgscrim::")),
]


def used(pid):
    """Seconds in user space and in the kernel that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) / TICK, int(fields[12]) / TICK


def pgbench(stage, port, user, mode, *more):
    return stage.run(program("pgbench"), *stage.to(port, user), "-n", "-S", "-M", mode, *more)


def timed(stage, port, pid, user, mode):
    """Transactions a second, and microseconds a transaction in user space and in the kernel."""
    before = used(pid)
    out = pgbench(stage, port, user, mode, "-c", CLIENTS, "-j", "2", "-T", SECONDS)
    after = used(pid)
    done = int(re.search(r"actually processed: (\d+)", out)[1])
    return done / float(SECONDS), *((end - start) / done * 1e6 for start, end in zip(before, after))


def sampled(stage, port, pid, user, mode, name):
    """By part, its share of the samples in user space."""
    data = os.path.join(stage.folder, "perf.data")
    perf = subprocess.Popen(["perf", "record", "-e", "cpu-clock", "-F", "2000", "-o", data, "-p", str(pid)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    pgbench(stage, port, user, mode, "-c", CLIENTS, "-j", "2", "-T", SECONDS)
    perf.send_signal(2)
    perf.wait()
    report = subprocess.run(["perf", "report", "-i", data, "--no-children", "--sort", "dso,symbol", "-g", "none", "--stdio"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    with open(os.path.join(HERE, f"bench/results/profile-{name}-{mode}.txt"), "w") as out:
        out.write("\n".join(line.rstrip() for line in report.splitlines()) + "\n")
    parts = collections.Counter()
    for line in report.splitlines():
        found = re.match(r"\s+([\d.]+)%\s+(\S+)\s+\[(.)\]\s+(.*?)(?:\s{3,}.*)?$", line)
        if found and found[3] == ".":
            parts[part(found[2], found[4])] += float(found[1])
    total = sum(parts.values()) or 1
    return {name: share / total for name, share in parts.items()}


def flame(stage, port, pid, user, mode, name):
    """A flame graph: who called whom, wide as the share of samples. Stacks are unwound from copies of them, so fewer are taken."""
    data = os.path.join(stage.folder, "perf-stacks.data")
    perf = subprocess.Popen(["perf", "record", "-e", "cpu-clock", "-F", "499", "--call-graph", "dwarf,16384", "-o", data, "-p", str(pid)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    pgbench(stage, port, user, mode, "-c", CLIENTS, "-j", "2", "-T", "2")
    perf.send_signal(2)
    perf.wait()
    with open(os.path.join(HERE, f"bench/results/flame-{name}-{mode}.svg"), "w") as out:
        stacks = subprocess.Popen(["perf", "script", "-i", data, "--no-inline"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        folded = subprocess.Popen([INFERNO + "collapse-perf"], stdin=stacks.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        title = f"{name}, pgbench -S, {mode}, {CLIENTS} clients"
        subprocess.run([INFERNO + "flamegraph", "--title", title], stdin=folded.stdout, stdout=out, stderr=subprocess.DEVNULL, check=True)
        stacks.stdout.close()
        folded.stdout.close()
        stacks.wait()
        folded.wait()


def part(program_or_library, function):
    if program_or_library.startswith(("libc", "[vdso]", "ld-")):
        return "libc and the way into the kernel"
    if program_or_library == "pgbouncer" or program_or_library.startswith("libevent"):
        return "PgBouncer and libevent"
    return next((name for name, starts in PARTS if function.startswith(starts)), "Rust's libraries: memory, hashing, atomics")


def main():
    needed("postgres", "initdb", "pgbench", "psql", "pgbouncer", "perf")
    os.makedirs(os.path.join(HERE, "bench/results"), exist_ok=True)
    stage = Stage()
    try:
        stage.postgres()
        port, scrim = stage.pgscrim(workers=WORKERS)
        bouncer_port, bouncer = stage.pgbouncer()
        floor_port, floor = stage.floor()
        for one in (port, bouncer_port, floor_port):
            listens(one)
        who = [("forwarder", floor_port, floor.pid, "bench"), ("PgBouncer", bouncer_port, bouncer.pid, "bench"),
               ("pgscrim, exempt", port, scrim.pid, "bench"), ("pgscrim, masked", port, scrim.pid, "masked")]
        columns, rows = [], collections.defaultdict(dict)
        for mode in MODES:
            for name, port, pid, user in who:
                pgbench(stage, port, user, mode, "-c", "1", "-t", "50")
                tps, in_user, in_kernel = timed(stage, port, pid, user, mode)
                column = f"{name}, {mode}"
                columns.append(column)
                rows["transactions a second"][column] = f"{tps:,.0f}"
                rows["all, µs a transaction"][column] = f"{in_user + in_kernel:.1f}"
                rows["kernel"][column] = f"{in_kernel:.1f}"
                shares = sampled(stage, port, pid, user, mode, re.sub(r"\W+", "-", name))
                if name.startswith("pgscrim") and os.path.exists(INFERNO + "flamegraph"):
                    flame(stage, port, pid, user, mode, re.sub(r"\W+", "-", name))
                for what, share in sorted(shares.items(), key=lambda one: -one[1]):
                    rows[what][column] = f"{share * in_user:.1f}"
        lines = [f"pgbench -S, {CLIENTS} clients, {WORKERS or 'as many workers as processors'}; microseconds of the proxy's process a transaction", ""]
        lines += ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        lines += [f"| {what} | " + " | ".join(cells.get(column, "–") for column in columns) + " |" for what, cells in rows.items()]
        with open(os.path.join(HERE, "bench/results/profile.md"), "w") as out:
            out.write("\n".join(lines) + "\n")
        print("\n".join(lines))
    finally:
        stage.end()


main()
