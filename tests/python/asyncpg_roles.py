"""asyncpg through pgscrim: pool with its reset query, prepared statements, cursors, COPY, types, errors, listeners.

Environment: PROXY_PORT, ROLE (support: restricted, owner: exempt). Ends with `ok`.
"""

import asyncio
import datetime
import decimal
import io
import os

import asyncpg

PORT = int(os.environ["PROXY_PORT"])
ROLE = os.environ["ROLE"]
MASKED = ROLE == "support"
ADDRESS = {"host": "127.0.0.1", "port": PORT, "user": ROLE, "database": "shop", "ssl": False}


def name(n):
    return "N*** K***" if MASKED else f"Nguyen Thi Minh Khai{n}"


def phone(n):
    return f"*****{n:03}" if MASKED else f"0901234{n:03}"


def email(n):
    return None if MASKED else f"khai{n}@gmail.com"


async def refused(kind, call):
    try:
        await call
    except kind as error:
        return error
    raise AssertionError("not refused")


async def types(conn):
    row = await conn.fetchrow(
        "SELECT id, full_name, phone, email, born, score, prefs, created FROM customers WHERE id = $1", 7)
    assert tuple(row)[:4] == (7, name(7), phone(7), email(7)), row
    assert row["born"] == datetime.date(1990, 5, 24) and row["score"] == 49, row
    assert row["created"] == datetime.datetime(2025, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    assert row["prefs"] == '{"lang": "vi"}', row["prefs"]
    await conn.set_type_codec("jsonb", encoder=lambda v: v, decoder=lambda v: ("json", v), schema="pg_catalog")
    assert await conn.fetchval("SELECT prefs FROM customers WHERE id = 7") == ("json", '{"lang": "vi"}')
    await conn.reset_type_codec("jsonb", schema="pg_catalog")
    assert await conn.fetchval("SELECT amount FROM orders WHERE id = 3") == decimal.Decimal("31.50")
    assert await conn.fetchval("SELECT $1::int[]", [1, None, 3]) == [1, None, 3]
    assert await conn.fetchval("SELECT $1::int4range", asyncpg.Range(1, 5)) == asyncpg.Range(1, 5)
    assert await conn.fetchval("SELECT $1::inet", "10.0.0.1") is not None
    assert await conn.fetchval("SELECT ROW(1, 'x'::text)") == (1, "x")
    assert await conn.fetchval("SELECT array_agg(phone ORDER BY id) FROM customers WHERE id < 3") == [phone(1), phone(2)]
    # A domain, an enum and a composite type send asyncpg to the catalogs with its recursive query.
    assert await conn.fetchval("SELECT '1 2'::int2vector") == [1, 2]
    assert await conn.fetchval("SELECT current_date::information_schema.time_stamp") is not None
    described = (await conn.prepare("SELECT id, phone, full_name FROM customers")).get_attributes()
    assert [(a.name, a.type.name) for a in described] == [("id", "int4"), ("phone", "varchar"), ("full_name", "text")]


async def composite(conn):
    """A row of a table as a value: the type's attributes are read from the catalogs."""
    row = await conn.fetchval("SELECT o FROM orders o WHERE id = 1")
    assert row["amount"] == decimal.Decimal("10.50"), row
    whole = await conn.fetchval("SELECT o FROM (SELECT id, phone FROM customers) o WHERE id = 1")
    assert tuple(whole) == (1, phone(1)), whole


async def statements(conn):
    statement = await conn.prepare("SELECT phone FROM customers WHERE id = ANY($1::int[]) ORDER BY id")
    for _ in range(3):
        assert [r[0] for r in await statement.fetch([1, 2, 3])] == [phone(1), phone(2), phone(3)]
    assert await conn.execute("UPDATE orders SET amount = amount WHERE id < 5") == "UPDATE 4"
    await conn.executemany("UPDATE orders SET amount = amount + $1 WHERE id = $2", [(decimal.Decimal(0), n) for n in range(1, 30)])
    rows = await conn.fetchmany(
        "INSERT INTO orders VALUES ($1, $2, $3, $4) RETURNING id", [(n, 1, decimal.Decimal(1), datetime.date(2025, 6, 1)) for n in (40001, 40002)])
    assert [r[0] for r in rows] == [40001, 40002]
    assert await conn.execute("DELETE FROM orders WHERE id > 40000") == "DELETE 2"
    assert await conn.execute("SELECT 1; SELECT phone FROM customers") == "SELECT 50"


async def cursors(conn):
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        seen = [tuple(r) async for r in conn.cursor("SELECT id, phone FROM customers ORDER BY id", prefetch=7)]
        assert seen == [(n, phone(n)) for n in range(1, 51)]
        cursor = await conn.cursor("SELECT id FROM customers ORDER BY id")
        assert await cursor.forward(5) == 5
        assert [r[0] for r in await cursor.fetch(2)] == [6, 7]
    async with conn.transaction():
        try:
            async with conn.transaction():
                await conn.execute("SELECT 1/0")
        except asyncpg.DivisionByZeroError:
            pass
        assert await conn.fetchval("SELECT phone FROM customers WHERE id = 2") == phone(2)


async def copies(conn):
    out = io.BytesIO()
    assert await conn.copy_from_query("SELECT id, phone FROM customers WHERE id < $1 ORDER BY id", 4, output=out, format="csv") == "COPY 3"
    assert out.getvalue().decode() == "".join(f"{n},{phone(n)}\n" for n in (1, 2, 3)), out.getvalue()
    out = io.BytesIO()
    assert await conn.copy_from_table("customers", columns=["id", "full_name", "email"], output=out) == "COPY 50"
    first = out.getvalue().decode().splitlines()[0].split("\t")
    assert first == ["1", name(1), email(1) or r"\N"], first
    records = [(50000 + n, 1, decimal.Decimal("2.25"), datetime.date(2025, 6, 1)) for n in range(100)]
    assert await conn.copy_records_to_table("orders", records=records) == "COPY 100"
    assert await conn.fetchval("SELECT sum(amount) FROM orders WHERE id >= 50000") == decimal.Decimal("225.00")
    assert await conn.execute("DELETE FROM orders WHERE id >= 50000") == "DELETE 100"


async def errors(conn):
    error = await refused(asyncpg.UniqueViolationError, conn.execute("INSERT INTO customers (id, full_name) VALUES ($1, 'x')", 1))
    assert (error.constraint_name, error.table_name) == ("customers_pkey", "customers")
    assert ("(***)" in error.detail) == MASKED
    await refused(asyncpg.UndefinedColumnError, conn.fetch("SELECT nothing FROM customers"))
    await refused(asyncpg.UndefinedTableError, conn.fetch("SELECT * FROM nowhere"))
    await refused(asyncpg.PostgresSyntaxError, conn.fetch("SELEC 1"))
    if MASKED:
        error = await refused(asyncpg.InsufficientPrivilegeError, conn.fetch("SELECT note FROM customers"))
        assert error.hint.startswith("PGS0201"), error.hint
        await refused(asyncpg.InsufficientPrivilegeError, conn.fetch("SELECT pg_advisory_lock(hashtext(phone)) FROM customers"))
    # A parameter of the wrong type fails in the driver, a value in the server.
    await refused(asyncpg.DataError, conn.fetch("SELECT phone FROM customers WHERE id = $1", "x"))
    # The driver sends a cancel request when its time is over. On a busy machine it may come before the statement: that one ends by itself.
    await refused(asyncio.TimeoutError, conn.fetch("SELECT count(*) FROM generate_series(1, 100000000)", timeout=0.5))
    assert await conn.fetchval("SELECT 1") == 1


async def locks(conn):
    """By a constant, a parameter, a column that is not personal: what migrations and job queues do."""
    assert await conn.fetchval("SELECT pg_try_advisory_lock(4711)")
    assert await conn.fetchval("SELECT pg_try_advisory_xact_lock($1, $2)", 1, 2)
    assert await conn.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", "invoice-run")
    assert [r[0] for r in await conn.fetch("SELECT id FROM orders WHERE id < 3 AND pg_try_advisory_lock(id) ORDER BY id")] == [1, 2]
    held = await conn.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
    assert held == 4, held
    assert await conn.fetchval("SELECT pg_advisory_unlock(4711)")


async def settings(conn):
    await conn.execute("SET search_path TO public, pg_catalog")
    await conn.execute("SET statement_timeout = '30s'")
    assert await conn.fetchval("SELECT phone FROM customers WHERE id = 1") == phone(1)


async def pool():
    """What a pool does between two users of a connection: its reset query, then statements that are still prepared."""
    async with asyncpg.create_pool(**ADDRESS, min_size=2, max_size=2, server_settings={"application_name": "shop"}) as pool:
        for turn in range(6):
            async with pool.acquire() as conn:
                assert await conn.fetchval("SELECT phone FROM customers WHERE id = $1", 5) == phone(5), turn
                if turn % 2:
                    await settings(conn)
                    await locks(conn)
        async with pool.acquire() as conn:
            await conn.execute("CREATE TEMP TABLE basket (id int)") if not MASKED else None
            held = await conn.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
            assert held == 0, "the reset query gives the locks back"
            assert await conn.fetchval("SHOW statement_timeout") == "0"
        rows = await asyncio.gather(*(pool.fetchval("SELECT phone FROM customers WHERE id = $1", n) for n in range(1, 40)))
        assert rows == [phone(n) for n in range(1, 40)]
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("SET LOCAL search_path TO pg_catalog")
            await refused(asyncpg.UndefinedTableError, conn.fetch("SELECT phone FROM customers WHERE id = $1", 5))
        assert await pool.fetchval("SELECT phone FROM customers WHERE id = $1", 5) == phone(5)


async def notices(conn):
    heard = asyncio.Queue()
    await conn.add_listener("orders", lambda *event: heard.put_nowait(event))
    await conn.execute("NOTIFY orders, 'shipped'")
    event = await asyncio.wait_for(heard.get(), 20)
    assert event[2] == "orders" and event[3] == ("" if MASKED else "shipped"), event
    await conn.reset()


async def main():
    conn = await asyncpg.connect(**ADDRESS)
    try:
        for step in (types, composite, statements, cursors, copies, errors, locks, settings, notices):
            await step(conn)
        await conn.reset()
    finally:
        await conn.close()
    await pool()
    print("ok")


asyncio.run(main())
