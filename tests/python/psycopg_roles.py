"""psycopg 3 through pgscrim: text, binary, prepared, pipeline mode, server-side cursors, COPY, types and errors.

Environment: PROXY_PORT, ROLE (support: restricted, owner: exempt). Ends with `ok`.
"""

import datetime
import decimal
import io
import os

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row, namedtuple_row

PORT = os.environ["PROXY_PORT"]
ROLE = os.environ["ROLE"]
MASKED = ROLE == "support"
DSN = f"host=127.0.0.1 port={PORT} dbname=shop user={ROLE}"

NAME = (lambda n: "N*** K***") if MASKED else (lambda n: f"Nguyen Thi Minh Khai{n}")
PHONE = (lambda n: f"*****{n:03}") if MASKED else (lambda n: f"0901234{n:03}")
EMAIL = (lambda n: None) if MASKED else (lambda n: f"khai{n}@gmail.com")


def refused(code, call):
    try:
        call()
    except psycopg.Error as error:
        assert error.diag.sqlstate == code, (error.diag.sqlstate, str(error))
        if code == "42501":
            assert error.diag.message_hint.startswith("PGS"), error.diag.message_hint
        return error
    raise AssertionError("not refused")


def values(conn):
    for binary in (False, True):
        cur = conn.cursor(binary=binary)
        cur.execute("SELECT id, full_name, phone, email, born, score, prefs, created FROM customers WHERE id = %s", (7,))
        row = cur.fetchone()
        assert row[:4] == (7, NAME(7), PHONE(7), EMAIL(7)), row
        assert row[4] == datetime.date(1990, 5, 24), row
        assert row[5] == 49 and row[6] == {"lang": "vi"}, row
        assert row[7] == datetime.datetime(2025, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), row
        names = [(c.name, c.type_code, c.internal_size) for c in cur.description]
        assert names[0][:2] == ("id", 23) and names[1][:2] == ("full_name", 25), names
        assert names[2][:2] == ("phone", 1043), names
        assert cur.description[2].display_size == 20, "the modifier of varchar(20) is kept"
        cur.execute("SELECT amount, placed FROM orders WHERE id = 3")
        assert cur.fetchone() == (decimal.Decimal("31.50"), datetime.date(2025, 6, 4))
    cur = conn.cursor(row_factory=dict_row)
    assert cur.execute("SELECT phone AS tel FROM customers WHERE id = 1").fetchone() == {"tel": PHONE(1)}
    cur = conn.cursor(row_factory=namedtuple_row)
    assert cur.execute("SELECT c.full_name, o.amount FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.id = 5").fetchone().full_name == NAME(5)
    query = sql.SQL("SELECT {} FROM {} WHERE id = ANY({}) ORDER BY id").format(
        sql.Identifier("phone"), sql.Identifier("public", "customers"), sql.Placeholder())
    assert conn.execute(query, ([1, 2, 3],)).fetchall() == [(PHONE(1),), (PHONE(2),), (PHONE(3),)]
    if MASKED:
        # search = "exact": found by the stored value, shown masked.
        assert conn.execute("SELECT id, phone FROM customers WHERE phone = %s", ("0901234005",)).fetchall() == [(5, "*****005")]
        assert conn.execute("SELECT id FROM customers WHERE full_name = %s", ("Nguyen Thi Minh Khai5",)).fetchall() == []


def prepared(conn):
    for _ in range(8):
        cur = conn.execute("SELECT phone FROM customers WHERE id = %s", (9,), prepare=True)
        assert cur.fetchone() == (PHONE(9),)
    with conn.cursor() as cur:
        cur.executemany("UPDATE orders SET amount = amount + %s WHERE id = %s", [(0, n) for n in range(1, 20)])
        assert cur.rowcount == 19
    conn.commit()


def pipeline(conn):
    with conn.pipeline() as pipe:
        cursors = [conn.execute("SELECT phone FROM customers WHERE id = %s", (n,)) for n in range(1, 40)]
        pipe.sync()
        assert [cur.fetchone()[0] for cur in cursors] == [PHONE(n) for n in range(1, 40)]
    conn.commit()
    try:
        with conn.pipeline():
            conn.execute("SELECT 1")
            conn.execute("SELECT no_such_column FROM customers")
            conn.execute("SELECT 2")
    except psycopg.Error as error:
        assert error.diag.sqlstate == "42703", str(error)
    else:
        raise AssertionError("no error")
    conn.rollback()
    assert conn.execute("SELECT 3").fetchone() == (3,)
    conn.rollback()


def cursors(conn):
    with conn.transaction():
        with conn.cursor("server_side") as cur:
            cur.itersize = 7
            cur.execute("SELECT id, phone FROM customers ORDER BY id")
            rows = list(cur)
        assert rows == [(n, PHONE(n)) for n in range(1, 51)]
        with conn.cursor("scrolls", scrollable=True) as cur:
            cur.execute("SELECT phone FROM customers WHERE id <= %s ORDER BY id", (10,))
            assert cur.fetchmany(2) == [(PHONE(1),), (PHONE(2),)]
            cur.scroll(3)
            assert cur.fetchone() == (PHONE(6),)
            cur.scroll(0, "absolute")
            assert cur.fetchall()[0] == (PHONE(1),)
    streamed = [row for row in conn.cursor().stream("SELECT id, phone FROM customers ORDER BY id")]
    assert streamed[10] == (11, PHONE(11))
    conn.rollback()


def copies(conn):
    with conn.cursor() as cur:
        with cur.copy("COPY (SELECT id, phone FROM customers ORDER BY id) TO STDOUT") as copy:
            assert next(copy.rows()) == ("1", PHONE(1))
            list(copy.rows())
        with cur.copy("COPY (SELECT id, phone, amount FROM customers JOIN orders USING (id) ORDER BY id) TO STDOUT (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "varchar", "numeric"])
            assert next(copy.rows()) == (1, PHONE(1), decimal.Decimal("10.50"))
            list(copy.rows())
        columns = "id, full_name, phone, email" if MASKED else "id, full_name, phone, email, note"
        with cur.copy(f"COPY customers ({columns}) TO STDOUT (FORMAT csv, HEADER)") as copy:
            data = b"".join(copy).decode()
        assert data.splitlines()[0].startswith("id,full_name,phone,email"), data[:80]
        assert len(data.splitlines()) == 51
        if MASKED:
            assert "0901234" not in data and "gmail" not in data
        with cur.copy("COPY orders (id, customer_id, amount, placed) FROM STDIN") as copy:
            for n in range(1000, 1100):
                copy.write_row((n, n % 50 + 1, "1.5", "2025-06-01"))
        assert cur.rowcount == 100
        with cur.copy("COPY orders FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "int4", "numeric", "date"])
            for n in range(1100, 1200):
                copy.write_row((n, 1, decimal.Decimal("2.25"), datetime.date(2025, 6, 1)))
        assert conn.execute("SELECT count(*), sum(amount) FROM orders WHERE id >= 1000").fetchone() == (200, decimal.Decimal("375.00"))
        conn.rollback()
        error = refused("22P02", lambda: copy_bad(cur))
        if MASKED:
            assert error.diag.context is None and error.diag.message_detail is None
        conn.rollback()


def copy_bad(cur):
    with cur.copy("COPY orders (id) FROM STDIN") as copy:
        copy.write("secret-looking\n")


def errors(conn):
    error = refused("42703", lambda: conn.execute("SELECT nothing FROM customers"))
    conn.rollback()
    error = refused("23505", lambda: conn.execute("INSERT INTO customers (id, full_name) VALUES (1, 'x')"))
    assert error.diag.constraint_name == "customers_pkey" and error.diag.table_name == "customers"
    assert ("(***)" in error.diag.message_detail) == MASKED
    conn.rollback()
    error = refused("23502", lambda: conn.execute("UPDATE customers SET full_name = NULL WHERE id = 1"))
    assert "0901234001" not in str(error) or not MASKED
    conn.rollback()
    refused("42P01", lambda: conn.execute("SELECT * FROM nowhere"))
    conn.rollback()
    refused("42601", lambda: conn.execute("SELEC 1"))
    conn.rollback()
    if MASKED:
        refused("42501", lambda: conn.execute("SELECT note FROM customers"))
        conn.rollback()
        refused("42501", lambda: conn.execute("SELECT pg_read_file('PG_VERSION')"))
        conn.rollback()
        refused("42501", lambda: conn.execute("CREATE TABLE t AS SELECT phone FROM customers"))
        conn.rollback()
    else:
        assert conn.execute("SELECT note FROM customers WHERE id = 1").fetchone() == ("prefers calls after 18h",)
        conn.rollback()
    with conn.transaction():
        conn.execute("SELECT 1")
        try:
            with conn.transaction():
                conn.execute("SELECT 1/0")
        except psycopg.errors.DivisionByZero:
            pass
        assert conn.execute("SELECT phone FROM customers WHERE id = 2").fetchone() == (PHONE(2),)


def writes(conn):
    # An ORM reads a row and writes all of it back: nothing is destroyed.
    row = conn.execute("SELECT full_name, phone, email, score FROM customers WHERE id = 30").fetchone()
    cur = conn.execute(
        "UPDATE customers SET full_name = %s, phone = %s, email = %s, score = %s WHERE id = 30 RETURNING phone, score",
        (row[0], row[1], row[2], row[3] + 1))
    assert cur.rowcount == 1
    assert cur.fetchone() == (PHONE(30), 211)
    conn.commit()
    cur = conn.execute("UPDATE customers SET score = score - 1 WHERE id = 30")
    assert cur.rowcount == 1 and cur.statusmessage == "UPDATE 1"
    conn.commit()
    cur = conn.execute("INSERT INTO customers (id, full_name, phone) VALUES (%s, %s, %s) RETURNING id, full_name", (900, "Tran Van B", "0900000900"))
    assert cur.fetchone() == (900, "T*** B***" if MASKED else "Tran Van B")
    conn.commit()
    assert conn.execute("DELETE FROM customers WHERE id = 900").rowcount == 1
    conn.commit()
    # One pipeline longer than the places in the audit queue.
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO orders VALUES (%s, 1, 1, '2025-06-01')", [(n,) for n in range(20_000, 32_000)])
        assert cur.rowcount == 12_000, cur.rowcount
    conn.rollback()


def temporary(conn):
    with conn.cursor() as cur:
        for _ in range(8):
            # So often that psycopg prepares what it sends.
            cur.execute("DROP TABLE IF EXISTS staged, seen")
            cur.execute("CREATE TEMP TABLE staged (LIKE orders)")
            with cur.copy("COPY staged FROM STDIN") as copy:
                copy.write_row((70_000, 1, "1.5", "2025-06-01"))
            cur.executemany("INSERT INTO staged VALUES (%s, 1, 1, '2025-06-01')", [(n,) for n in range(70_001, 70_100)])
            cur.execute("CREATE TEMP TABLE seen AS SELECT id, phone FROM customers WHERE id < %s", (10,))
            assert cur.rowcount == 9
            assert cur.execute("SELECT phone FROM seen WHERE id = %s", (3,)).fetchone() == (PHONE(3),)
            cur.execute("INSERT INTO orders SELECT * FROM staged ON CONFLICT DO NOTHING")
            assert cur.rowcount == 100
            assert cur.execute("DELETE FROM orders USING staged WHERE staged.id = orders.id").rowcount == 100
    conn.commit()
    if MASKED:
        refused("42501", lambda: conn.execute("UPDATE customers SET email = seen.phone FROM seen WHERE seen.id = customers.id"))
        conn.rollback()


with psycopg.connect(DSN) as conn:
    assert conn.info.user == ROLE and conn.info.encoding == "utf-8"
    assert conn.execute("SELECT pg_backend_pid()").fetchone()[0] == conn.info.backend_pid
    conn.rollback()
    for step in (values, prepared, pipeline, cursors, copies, errors, writes, temporary):
        step(conn)
        conn.rollback()
with psycopg.connect(DSN, autocommit=True) as conn:
    values(conn)
    with psycopg.ClientCursor(conn) as cur:
        # Parameters merged by the client, simple protocol, several statements in a message.
        cur.execute("SELECT 1; SELECT phone FROM customers WHERE full_name <> %s ORDER BY id LIMIT 1", ("it's",))
        cur.nextset()
        assert cur.fetchone() == (PHONE(1),)
    with psycopg.RawCursor(conn) as cur:
        assert cur.execute("SELECT phone FROM customers WHERE id = $1", [4]).fetchone() == (PHONE(4),)
print("ok")
