"""psqlODBC through pgscrim: what spreadsheets and office programs use. Catalog functions, typed values, errors.

Environment: PROXY_PORT, ROLE (support: restricted, owner: exempt). Ends with `ok`.
"""

import datetime
import decimal
import os

import pyodbc

ROLE = os.environ["ROLE"]
MASKED = ROLE == "support"
BASE = f"DRIVER={{PostgreSQL Unicode}};SERVER=127.0.0.1;PORT={os.environ['PROXY_PORT']};DATABASE=shop;UID={ROLE};SSLMODE=disable"


def phone(n):
    return f"*****{n:03}" if MASKED else f"0901234{n:03}"


def refused(code, call):
    try:
        call()
    except pyodbc.Error as error:
        assert error.args[0] == code, error
        return error
    raise AssertionError("not refused")


# Server-side prepare, declare/fetch, and statements merged by the driver.
for options in ("", ";UseServerSidePrepare=0", ";UseDeclareFetch=1;Fetch=7", ";Protocol=7.4-2"):
    db = pyodbc.connect(BASE + options)
    cur = db.cursor()
    row = cur.execute("SELECT id, full_name, phone, email, born, score FROM customers WHERE id = ?", 7).fetchone()
    assert list(row) == [7, "N*** K***" if MASKED else "Nguyen Thi Minh Khai7", phone(7), None if MASKED else "khai7@gmail.com", datetime.date(1990, 5, 24), 49], row
    assert [d[1] for d in cur.description][:3] == [int, str, str], cur.description
    assert cur.description[2][3] == 20, cur.description
    assert [r.phone for r in cur.execute("SELECT phone FROM customers ORDER BY id")] == [phone(n) for n in range(1, 51)]
    assert cur.execute("SELECT amount, placed FROM orders WHERE id = ?", 3).fetchone()[0] == decimal.Decimal("31.50")
    cur.executemany("INSERT INTO orders VALUES (?, 1, ?, ?)", [(69800 + n, decimal.Decimal("1.5"), datetime.date(2025, 6, 1)) for n in range(20)])
    assert cur.execute("DELETE FROM orders WHERE id >= 69800 AND id < 69900").rowcount == 20
    assert cur.execute("UPDATE customers SET phone = ?, score = score WHERE id = 5", phone(5)).rowcount == 1
    db.commit()
    assert {"customers", "orders"} <= {r.table_name for r in cur.tables(schema="public")}
    assert "phone" in {r.column_name for r in cur.columns(table="customers")}
    assert [r.column_name for r in cur.primaryKeys(table="customers")] == ["id"]
    assert [r.fkcolumn_name for r in cur.foreignKeys(foreignTable="orders")] == ["customer_id"]
    assert [r.fktable_name for r in cur.foreignKeys(table="customers")] == ["orders"]
    assert cur.statistics(table="customers").fetchall()
    cur.rowIdColumns(table="customers").fetchall()
    cur.rowVerColumns(table="customers").fetchall()
    cur.procedures().fetchall()
    cur.getTypeInfo().fetchall()
    refused("42703", lambda: cur.execute("SELECT nothing FROM customers"))
    db.rollback()
    refused("23505", lambda: cur.execute("INSERT INTO customers (id, full_name) VALUES (1, 'x')"))
    db.rollback()
    if MASKED:
        refused("42501", lambda: cur.execute("SELECT note FROM customers"))
        db.rollback()
    db.close()
print("ok")
