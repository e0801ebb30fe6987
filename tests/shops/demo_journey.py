#!/usr/bin/env python3
"""The journey of a DBA on the shop of the demo, by the README alone: discover, sort, check, test, observe, look, enforce, with times.

    make journey                     # this one first: seconds; then that of django-oscar, in journey.py

In: the program and PostgreSQL's programs. Out: a table of steps, commands and times, what the commands said, and what the shop's applications got
before and after. What a person does between the commands is done by the replacements below.
"""

import os
import re
import subprocess
import sys
import time

from journey import HERE, Desk, program

LOGINS = ["packing_app", "order_processing_app", "customer_care_app", "service_development_app", "carrier_app", "payment_app", "marketing_app"]
# What a person does to the draft, in order: (what for, pattern, replacement).
EDITS = [
    ("take the signs from the roles", r"(?m)^#: ?", ""),
    ("who takes orders and answers customers", r'"shop_app"', '"order_processing_app", "customer_care_app"'),
    ("who works with masks", r'(?s)(name = "staff".*?user = \[).*?\]', r'\1"packing_app", "service_development_app", "carrier_app", "payment_app", "marketing_app"]'),
    ("who owns the schema", r'"postgres"\]', '"postgres", "shop_owner"]'),
    ("free text that its name did not tell", r'(?m)^    # "public.warranty_claims.description", # review\n', ""),
    ("into its category", r'(?m)^(    "public.orders.note", .*\n)', r'\1    "public.warranty_claims.description",\n'),
    ("documents, sums and tracking numbers", r'(?m)^    # "public.(customers.meta|orders.total|payments.amount|shipments.tracking_no)", # review.*\n', ""),
    ("into categories of their own", r"(?m)^# Columns without a guess", '[category.profile]\ncolumns = ["public.customers.meta"]\n[category.order_value]\ncolumns = ["public.orders.total", "public.payments.amount", "public.order_items.price"]\n[category.tracking]\ncolumns = ["public.shipments.tracking_no"]\n\n# Columns without a guess'),
    ("a table that it brings in", r'(?m)^    "public.orders.id", # key\n', '    "public.order_items.id", "public.order_items.order_id", "public.order_items.product_id", "public.order_items.quantity",\n    "public.orders.id", # key\n'),
    ("take the signs from the columns, all read", r'(?m)^    # (".*",) # review$', r"    \1"),
]
# After what `check`, `test` and `audit coverage` said.
ENFORCE = [
    ("carriers need the tracking number", r"(?m)^(see\.name = )", r'see.tracking = "clear"\n\1'),
    ("and payment what was paid", r"(?m)^(see\.name = )", r'see.order_value = "clear"\n\1'),
    ("the end of observing", r"(?m)^observe = true.*\n", ""),
]
TESTS = """
[[test]]
name = "packing works with masks"
user = "packing_app"
sql = "SELECT o.order_no, o.ship_name, o.ship_phone, c.email FROM orders o JOIN customers c ON c.id = o.customer_id"
expect = { ship_name = "name_initials", ship_phone = "phone_last", email = "email" }
[[test]]
name = "who takes orders sees what customers enter"
user = "order_processing_app"
sql = "SELECT full_name, phone, email FROM customers"
expect = { "*" = "clear" }
"""
# What the applications of the shop send, by login.
WORK = {
    "packing_app": [
        "SELECT o.order_no, o.ship_name, o.ship_phone, o.ship_address, i.quantity, p.name FROM orders o JOIN order_items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id WHERE o.status = 'paid' ORDER BY o.id LIMIT 50",
        "UPDATE orders SET status = 'packed' WHERE id = 7 RETURNING order_no",
    ],
    "order_processing_app": [
        "SELECT id, full_name, phone FROM customers WHERE phone = '0901234567'",
        "INSERT INTO orders (customer_id, order_no, ship_name, ship_phone, ship_address, total) SELECT c.id, 'DH-' || extract(epoch FROM clock_timestamp()), c.full_name, c.phone, a.line || ', ' || a.province, 120000 FROM customers c JOIN addresses a ON a.customer_id = c.id AND a.is_default WHERE c.id = 1 RETURNING id",
        "UPDATE customers SET full_name = full_name, phone = '0901234567', note = 'Gọi trước' WHERE id = 1",
    ],
    "customer_care_app": [
        "SELECT c.id, c.full_name, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.email = 'minhkhai@gmail.com' GROUP BY c.id",
        "INSERT INTO consents (customer_id, purpose, category, granted_at) VALUES (9, 'refusal', 'phone', now())",
        "SELECT w.description, w.video_url FROM warranty_claims w WHERE w.order_id = 1",
    ],
    "service_development_app": [
        "SELECT a.province, date_part('year', c.birth_date) AS born, count(*) FROM customers c JOIN addresses a ON a.customer_id = c.id GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20",
        "SELECT c.phone, count(*) FROM customers c JOIN orders o ON o.ship_phone = c.phone GROUP BY c.phone HAVING count(*) > 3 LIMIT 20",
        "SELECT month, orders FROM monthly_sales ORDER BY month",
    ],
    "carrier_app": [
        "SELECT s.tracking_no, o.ship_name, o.ship_phone, o.ship_address FROM shipments s JOIN orders o ON o.id = s.order_id WHERE s.carrier = 'GHN' AND s.status = 'in transit' LIMIT 50",
        "UPDATE shipments SET status = 'delivered' WHERE tracking_no = 'GHN000000001VN'",
    ],
    "payment_app": [
        "SELECT id, card_pan, card_holder, amount FROM payments WHERE method = 'card' AND amount > 1000000 ORDER BY id LIMIT 50",
        "UPDATE payments SET status = 'paid', paid_at = now() WHERE id = 3",
    ],
    "marketing_app": ["SELECT full_name, email FROM customers WHERE email LIKE '%@gmail.com' LIMIT 50"],
}


def work(desk, step):
    """All of the work, through the proxy; how many statements ended well."""
    well, failed, start = 0, [], time.monotonic()
    for login, statements in WORK.items():
        for sql in statements:
            ran = subprocess.run([program("psql"), "-X", "-q", "-h", "127.0.0.1", "-p", str(desk.proxy), "-U", login, "-d", "shop", "-c", sql], capture_output=True, text=True)
            well += not ran.returncode
            if ran.returncode:
                failed.append(f"{login}: {ran.stderr.strip()}")
    desk.rows.append((step, f"the applications' work: {well} statements, {len(failed)} failed", f"{time.monotonic() - start:.1f} s"))
    return failed


def main():
    desk = Desk()
    config = desk.config("shop")
    try:
        desk.start_server()
        for database, name in (("postgres", "roles.sql"), ("shop", "schema.sql"), ("shop", "data.sql")):
            desk.script(database, os.path.join(HERE, "src/cli/demo", name))
        desk.run("discover", "discover", *config, "--out", "my-rules/10-data.toml")
        desk.edit("sort", "my-rules/10-data.toml", EDITS)
        checked = desk.run("check", "check", *config).stdout
        desk.write("my-rules/shop.test.toml", TESTS)
        desk.run("test", "test", *config)
        desk.serve(*config)
        observed = work(desk, "observe")
        time.sleep(1)
        covered = desk.run("look", "audit", "coverage", *config, codes=(0, 2)).stdout
        desk.edit("enforce", "my-rules/10-data.toml", ENFORCE)
        desk.run("check again", "check", *config, "--strict")
        desk.run("test again", "test", *config)
        time.sleep(5)
        enforced = work(desk, "enforced")
        desk.table()
        print("\nwarnings of the first check:", *re.findall(r"^warning .*$", checked, re.M), "\ncoverage:", covered, "failed while observed:", *observed, "\nfailed when enforced:", *enforced, sep="\n")
        if observed or enforced:
            sys.exit("the shop broke")
    finally:
        desk.end()


main()
