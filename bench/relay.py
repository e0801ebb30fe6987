#!/usr/bin/env python3
"""What a round trip through a proxy takes, without a clock: user instructions by valgrind, system calls by strace.

    make relay                         # release build, PgBouncer beside it
    python3 bench/relay.py --profile   # also says which functions, in bench/results/relay-*.txt

In: the release binary, PostgreSQL's programs, pgbouncer, valgrind, strace. Out: a Markdown table. Each figure is that of a
number of transactions of `pgbench -S` with everything warm. Instructions of the audit log's own thread stand apart: it takes the
less per event the more come at once, and under valgrind few do.
"""

import glob
import os
import re
import subprocess
import sys
import time

from stage import HERE, Stage, listens, needed, program

MODES = ["simple", "extended", "prepared"]
COUNT = int(os.environ.get("COUNT", "2000"))
FEW = 200
CLIENTS = int(os.environ.get("CLIENTS", "1"))
PROFILE = "--profile" in sys.argv


def pgbench(stage, port, user, mode, count, clients=CLIENTS):
    stage.run(program("pgbench"), *stage.to(port, user), "-n", "-S", "-M", mode, "-c", str(clients), "-t", str(count // clients))


def instructions(stage, start, user, mode):
    """Instructions a transaction of the threads that relay, and of the one that writes the audit log: what many transactions take
    less what few do, so that nothing counts which is done once."""
    few, many = (counted(stage, start, user, mode, count) for count in (FEW, FEW + COUNT))
    return [(more - less) / COUNT for more, less in zip(many, few)]


def counted(stage, start, user, mode, count):
    out = os.path.join(stage.folder, "callgrind")
    for old in glob.glob(out + "*"):
        os.remove(old)
    port, child = start([program("valgrind"), "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}"])
    listens(port)
    pgbench(stage, port, user, mode, count)
    child.terminate()
    child.wait(60)
    stage.children.remove(child)
    relayed, audited = 0, 0
    for dump in glob.glob(out + "-*"):
        with open(dump) as text:
            text = text.read()
        total = int(re.search(r"^(?:summary|totals): (\d+)", text, re.M)[1])
        if "audit::writer::" in text:
            audited += total
        else:
            relayed += total
            if PROFILE and count > FEW and total > 2000 * COUNT:
                profile(dump, f"{child.args[-1].split('/')[-2]}-{mode}")
    return relayed, audited


def profile(dump, name):
    folder = os.path.join(HERE, "bench/results")
    os.makedirs(folder, exist_ok=True)
    for kind, options in [("self", []), ("inclusive", ["--inclusive=yes"])]:
        done = subprocess.run([program("callgrind_annotate"), *options, "--threshold=99.5", "--auto=no", dump], capture_output=True, text=True)
        with open(os.path.join(folder, f"relay-{name}-{kind}.txt"), "w") as out:
            out.write(f"of {COUNT} transactions\n{done.stdout}")


def calls(stage, start, user, mode):
    """System calls a transaction, the most frequent first."""
    port, child = start([])
    listens(port)
    pgbench(stage, port, user, mode, 2000)
    log = os.path.join(stage.folder, "strace")
    strace = subprocess.Popen([program("strace"), "-f", "-c", "-o", log, "-p", str(child.pid)], stderr=subprocess.DEVNULL)
    time.sleep(1)
    pgbench(stage, port, user, mode, COUNT * 4)
    strace.terminate()
    strace.wait()
    child.terminate()
    child.wait()
    stage.children.remove(child)
    rows = []
    with open(log) as text:
        for line in text:
            parts = line.split()
            if len(parts) >= 5 and parts[3].isdigit() and parts[-1] != "total":
                rows.append((int(parts[3]) / COUNT / 4, parts[-1]))
    return [(count, name) for count, name in sorted(rows, reverse=True) if count >= 0.005]


def main():
    needed("pgbench", "pgbouncer", "initdb", "valgrind", "callgrind_annotate", "strace", "cc")
    stage = Stage()
    try:
        stage.postgres()
        measure(stage)
    finally:
        stage.end()


def measure(stage):
    print(f"pgbench -S, {CLIENTS} client(s), {COUNT} transactions")
    print("| proxy, mode | instructions | of the audit log's thread | system calls |")
    print("|---|---|---|---|")
    proxies = [
        ("forwarder", lambda under: stage.floor(under), "bench"),
        ("PgBouncer", lambda under: stage.pgbouncer(under), "bench"),
        ("pgscrim, exempt", lambda under: stage.pgscrim("exempt", 1, under), "bench"),
        ("pgscrim, masked", lambda under: stage.pgscrim("masked", 1, under), "masked"),
    ]
    only = os.environ.get("ONLY")
    for name, start, user in proxies:
        if only and only not in name:
            continue
        for mode in MODES:
            relayed, audited = instructions(stage, start, user, mode)
            listed = "" if os.environ.get("NOCALLS") else ", ".join(f"{call} {count:.2f}" for count, call in calls(stage, start, user, mode))
            print(f"| {name}, {mode} | {relayed:,.0f} | {audited:,.0f} | {listed} |", flush=True)


if __name__ == "__main__":
    main()
