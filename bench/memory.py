#!/usr/bin/env python3
"""Memory of pgscrim: thousands of idle connections, and a day of statements of which none comes twice.

    make memory                        # release build, some minutes
    IDLE=500 CHURN=20000 python3 bench/memory.py

Idle connections are served by a stand-in for the server that says what a server says at start-up, as so many real server
processes do not fit on a small machine; the catalog comes from a real one. The statements of the day (twenty new ones a
second for 24 hours, at full speed here) go to the real one, as a role that sees three columns masked.
"""

import asyncio
import os
import struct
import sys
import time

import stage as bench

IDLE = int(os.environ.get("IDLE", "5000"))
CHURN = int(os.environ.get("CHURN", str(24 * 3600 * 20)))
BATCH = 200
SERVICE = b"pgscrim"


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


READY = message(b"Z", b"I")
WELCOME = message(b"R", struct.pack("!i", 0)) + b"".join(
    message(b"S", name + b"\0" + value + b"\0")
    for name, value in [(b"server_version", b"15.0"), (b"client_encoding", b"UTF8"), (b"server_encoding", b"UTF8"),
                        (b"standard_conforming_strings", b"on"), (b"integer_datetimes", b"on")]
) + message(b"K", struct.pack("!ii", 1, 1)) + READY


class StandIn:
    """Passes the service login on to the real server, and welcomes everybody else."""

    def __init__(self, real):
        self.real = real

    async def start(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024)
        return server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        try:
            length = struct.unpack("!i", await reader.readexactly(4))[0]
            packet = await reader.readexactly(length - 4)
            if SERVICE in packet.split(b"\0"):
                await self.pass_on(struct.pack("!i", length) + packet, reader, writer)
                return
            writer.write(WELCOME)
            while True:
                kind, length = struct.unpack("!ci", await reader.readexactly(5))
                await reader.readexactly(length - 4)
                if kind == b"Q":
                    writer.write(message(b"C", b"SELECT 0\0") + READY)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # The end of the run, too.
            pass
        finally:
            writer.close()

    async def pass_on(self, packet, reader, writer):
        there, here = await asyncio.open_connection("127.0.0.1", self.real)
        here.write(packet)

        async def copy(source, target):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
            target.close()

        await asyncio.gather(copy(reader, here), copy(there, writer), return_exceptions=True)


def startup(user):
    parameters = b"user\0" + user + b"\0database\0postgres\0\0"
    return struct.pack("!ii", 8 + len(parameters), 196608) + parameters


async def connect(port, user):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(startup(user))
    await until_ready(reader)
    return reader, writer


async def until_ready(reader, times=1):
    while times:
        kind, length = struct.unpack("!ci", await reader.readexactly(5))
        body = await reader.readexactly(length - 4)
        if kind == b"E":
            raise SystemExit(f"refused: {body}")
        times -= kind == b"Z"


async def idle(stage):
    stand_in = await StandIn(stage.port).start()
    stage.port, real = stand_in, stage.port
    port, child = stage.pgscrim("idle")
    stage.port = real
    await asyncio.to_thread(bench.listens, port)
    before = bench.resident(child.pid)
    connections, begin = [], time.monotonic()
    while len(connections) < IDLE:
        few = min(100, IDLE - len(connections))
        connections += await asyncio.gather(*[connect(port, b"bench") for _ in range(few)])
    took = time.monotonic() - begin
    await asyncio.sleep(1)
    grown = (bench.resident(child.pid) - before) / IDLE
    # They hold: each still answers.
    for reader, writer in connections:
        writer.write(message(b"Q", b"SELECT 1\0"))
    await asyncio.gather(*[until_ready(reader) for reader, _ in connections])
    after = (bench.resident(child.pid) - before) / IDLE
    print(f"{IDLE} idle connections: {grown:.1f} KiB each, {after:.1f} KiB when each has sent a statement; made in {took:.1f} s")
    for _, writer in connections:
        writer.close()


async def churn(stage):
    port, child = stage.pgscrim("churn")
    await asyncio.to_thread(bench.listens, port)
    reader, writer = await connect(port, b"masked")
    sizes, begin = [], time.monotonic()
    for first in range(0, CHURN, BATCH):
        numbers = range(first, min(first + BATCH, CHURN))
        # Names of columns make each a shape of its own.
        texts = [f"SELECT aid, filler AS f{n}, abalance AS b{n} FROM pgbench_accounts WHERE aid = {n} AND bid > 0\0" for n in numbers]
        writer.write(b"".join(message(b"Q", text.encode()) for text in texts))
        await until_ready(reader, len(texts))
        if first // BATCH % max(1, CHURN // BATCH // 24) == 0:
            sizes.append(bench.resident(child.pid))
    sizes.append(bench.resident(child.pid))
    shown = ", ".join(f"{size / 1024:.0f}" for size in sizes)
    print(f"{CHURN} statements, none twice, in {time.monotonic() - begin:.0f} s: resident MiB at each hour {shown}")
    writer.close()
    return max(sizes[len(sizes) // 4 :]) - sizes[len(sizes) // 4]


def main():
    if not bench.program("initdb"):
        raise SystemExit("PostgreSQL is not installed: run `make memory`")
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    stage = bench.Stage()
    try:
        stage.postgres()
        asyncio.run(idle(stage))
        grown = asyncio.run(churn(stage))
        print(f"growth after the first quarter of the day: {grown / 1024:.1f} MiB")
        return grown > 16 * 1024
    finally:
        stage.end()


if __name__ == "__main__":
    sys.exit(main())
