"""psycopg2, pg8000 and psycopg 3's asynchronous face through pgscrim.

Environment: PROXY_PORT, ROLE (support: restricted, owner: exempt). Ends with `ok`.
"""

import asyncio
import datetime
import decimal
import io
import os
import uuid

import pg8000.dbapi
import pg8000.native
import psycopg
import psycopg.types.composite
import psycopg.types.range
import psycopg2
import psycopg2.extras
import psycopg2.sql
from psycopg.types.json import Jsonb

PORT = int(os.environ["PROXY_PORT"])
ROLE = os.environ["ROLE"]
MASKED = ROLE == "support"
ADDRESS = {"host": "127.0.0.1", "port": PORT, "user": ROLE}


def name(n):
    return "N*** K***" if MASKED else f"Nguyen Thi Minh Khai{n}"


def phone(n):
    return f"*****{n:03}" if MASKED else f"0901234{n:03}"


def email(n):
    return None if MASKED else f"khai{n}@gmail.com"


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError("not refused")


def with_psycopg2():
    conn = psycopg2.connect(dbname="shop", **ADDRESS)
    with conn, conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cur:
        cur.execute("SELECT id, full_name, phone, email, born, prefs, created FROM customers WHERE id = %s", (7,))
        row = cur.fetchone()
        assert [row["full_name"], row["phone"], row["email"]] == [name(7), phone(7), email(7)], row
        assert row["born"] == datetime.date(1990, 5, 24) and row["prefs"] == {"lang": "vi"}
        assert row["created"].utctimetuple()[:6] == (2025, 1, 2, 3, 4, 5)
        assert [d.type_code for d in cur.description][:3] == [23, 25, 1043]
        psycopg2.extras.register_uuid()
        key = uuid.uuid4()
        cur.execute("SELECT %s::uuid AS u, %s AS a, %s AS j, %s AS t", (key, [1, 2], psycopg2.extras.Json({"a": "it's"}), "x\\y"))
        row = cur.fetchone()
        assert (row["u"], row["a"], row["t"]) == (key, [1, 2], "x\\y"), row
    with conn, conn.cursor() as cur:
        # Looks hstore up in the catalogs: not installed.
        refused(psycopg2.ProgrammingError, lambda: psycopg2.extras.register_hstore(conn))
        psycopg2.extras.execute_values(
            cur, "INSERT INTO orders VALUES %s RETURNING id", [(60000 + n, 1, 2.5, datetime.date(2025, 6, 1)) for n in range(250)], fetch=True)
        psycopg2.extras.execute_batch(cur, "UPDATE orders SET amount = %s WHERE id = %s", [(3, 60000 + n) for n in range(250)], page_size=50)
        cur.execute("DELETE FROM orders WHERE id >= 60000")
        assert cur.rowcount == 250
        query = psycopg2.sql.SQL("SELECT {} FROM {} WHERE {} IN %s ORDER BY 1").format(
            psycopg2.sql.Identifier("phone"), psycopg2.sql.Identifier("public", "customers"), psycopg2.sql.Identifier("id"))
        cur.execute(query, ((1, 2, 3),))
        assert cur.fetchall() == [(phone(n),) for n in (1, 2, 3)]
        assert cur.mogrify("SELECT %s", ("a'b",)) == b"SELECT 'a''b'"
        out = io.StringIO()
        cur.copy_expert("COPY (SELECT id, phone FROM customers ORDER BY id LIMIT 2) TO STDOUT", out)
        assert out.getvalue() == f"1\t{phone(1)}\n2\t{phone(2)}\n"
        cur.copy_from(io.StringIO("60001\t1\t2.5\t2025-06-01\n"), "orders", columns=("id", "customer_id", "amount", "placed"))
        assert cur.rowcount == 1
        conn.rollback()
        cur.callproc("upper", ["x"])
        assert cur.fetchone() == ("X",)
    with conn, conn.cursor("server_side", withhold=False, scrollable=True) as cur:
        cur.itersize = 9
        cur.execute("SELECT id, phone FROM customers ORDER BY id")
        assert cur.fetchone() == (1, phone(1))
        cur.scroll(3)
        assert list(cur)[0] == (5, phone(5))
    with conn, conn.cursor("held", withhold=True) as cur:
        cur.execute("SELECT phone FROM customers ORDER BY id")
        conn.commit()
        assert cur.fetchmany(2) == [(phone(1),), (phone(2),)]
    conn.set_session(isolation_level="SERIALIZABLE", readonly=True, autocommit=False)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT count(*) FROM customers")
        refused(psycopg2.errors.ReadOnlySqlTransaction, lambda: cur.execute("DELETE FROM orders"))
        conn.rollback()
    conn.set_session(autocommit=True, readonly=False)
    with conn.cursor() as cur:
        if MASKED:
            error = refused(psycopg2.errors.InsufficientPrivilege, lambda: cur.execute("SELECT note FROM customers"))
            assert error.diag.message_hint.startswith("PGS0201"), error.diag.message_hint
        cur.execute("LISTEN parcels; NOTIFY parcels, 'x'")
        conn.poll()
        assert [n.payload for n in conn.notifies] == ["" if MASKED else "x"]
    # Two-phase commit needs max_prepared_transactions, and restricted roles may not.
    conn.reset()
    conn.cancel()
    conn.close()


def with_pg8000():
    conn = pg8000.dbapi.connect(database="shop", **ADDRESS)
    cur = conn.cursor()
    cur.execute("SELECT id, full_name, phone, email, born, prefs, created FROM customers WHERE id = %s", (7,))
    row = cur.fetchone()
    assert row[:4] in ((7, name(7), phone(7), email(7)), [7, name(7), phone(7), email(7)]), row
    assert row[4] == datetime.date(1990, 5, 24) and row[5] == {"lang": "vi"}
    cur.execute("SELECT phone FROM customers WHERE id = ANY(CAST(%s AS int[])) ORDER BY id", ([1, 2],))
    assert [r[0] for r in cur.fetchall()] == [phone(1), phone(2)]
    cur.executemany("UPDATE orders SET amount = amount + %s WHERE id = %s", ((decimal.Decimal(0), n) for n in range(1, 5)))
    out = io.BytesIO()
    cur.execute("COPY (SELECT id, phone FROM customers ORDER BY id LIMIT 1) TO STDOUT", stream=out)
    assert out.getvalue().decode() == f"1\t{phone(1)}\n"
    conn.rollback()
    error = refused(pg8000.dbapi.DatabaseError, lambda: cur.execute("SELECT nothing FROM customers"))
    assert error.args[0]["C"] == "42703", error
    conn.rollback()
    conn.close()
    conn = pg8000.native.Connection(database="shop", **ADDRESS)
    assert conn.run("SELECT phone FROM customers WHERE id = :id", id=3) == [[phone(3)]]
    statement = conn.prepare("SELECT phone FROM customers WHERE id = :id")
    assert [statement.run(id=n) for n in (1, 2)] == [[[phone(1)]], [[phone(2)]]]
    statement.close()
    assert conn.run("SELECT CAST(:v AS jsonb)", v='{"a": 1}') == [[{"a": 1}]]
    if MASKED:
        error = refused(pg8000.native.DatabaseError, lambda: conn.run("SELECT note FROM customers"))
        assert error.args[0]["C"] == "42501" and error.args[0]["H"].startswith("PGS0201"), error
    conn.close()


async def with_psycopg_async():
    async with await psycopg.AsyncConnection.connect(dbname="shop", **ADDRESS) as conn:
        for binary in (False, True):
            cur = conn.cursor(binary=binary)
            await cur.execute("SELECT phone, email, born FROM customers WHERE id = %s", (7,))
            assert await cur.fetchone() == (phone(7), email(7), datetime.date(1990, 5, 24))
            values = ([1, 2], ["a", None], Jsonb({"k": [1]}), psycopg.types.range.Range(1, 5), datetime.timedelta(hours=3), True, b"\x00\xff", None)
            await cur.execute("SELECT %b::int[], %b::text[], %b::jsonb, %b::int4range, %b::interval, %b::bool, %b::bytea, %b::text", values)
            row = await cur.fetchone()
            assert row[:2] == ([1, 2], ["a", None]) and row[2] == {"k": [1]} and row[3] == psycopg.types.range.Range(1, 5), row
            assert row[4:] == (datetime.timedelta(hours=3), True, b"\x00\xff", None), row
        async with conn.pipeline():
            cursors = [await conn.execute("SELECT phone FROM customers WHERE id = %s", (n,)) for n in range(1, 20)]
            assert [(await cur.fetchone())[0] for cur in cursors] == [phone(n) for n in range(1, 20)]
        async with conn.cursor("server") as cur:
            await cur.execute("SELECT id, phone FROM customers ORDER BY id")
            assert [row async for row in cur][49] == (50, phone(50))
        async with conn.cursor() as cur, cur.copy("COPY (SELECT phone FROM customers ORDER BY id LIMIT 1) TO STDOUT") as copy:
            assert [row async for row in copy.rows()] == [(phone(1),)]
        async with conn.cursor() as cur:
            await cur.executemany("INSERT INTO orders VALUES (%s, 1, 1, '2025-06-01') RETURNING id", [(61000,), (61001,)], returning=True)
            ids = [(await cur.fetchone())[0]]
            while cur.nextset():
                ids.append((await cur.fetchone())[0])
            assert ids == [61000, 61001]
        await conn.rollback()
        info = await psycopg.types.TypeInfo.fetch(conn, "int4range")
        assert info is None or info.name == "int4range"
        assert (await psycopg.types.range.RangeInfo.fetch(conn, "daterange")).subtype_oid == 1082
        composite = await psycopg.types.composite.CompositeInfo.fetch(conn, "orders")
        assert list(composite.field_names) == ["id", "customer_id", "amount", "placed"], composite.field_names
        await conn.rollback()


with_psycopg2()
with_pg8000()
asyncio.run(with_psycopg_async())
print("ok")
