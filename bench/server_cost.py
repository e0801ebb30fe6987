#!/usr/bin/env python3
"""What masked statements cost the server: planning and execution of what pgscrim sends, against the same masks written by hand.

    make server-cost                   # release build, the demo's shop, some minutes
    ROUNDS=5 python3 bench/server_cost.py

In: the release binary and PostgreSQL's programs. The statements stand below as applications send them to the demo's shop and to django-oscar; `<c.phone>` is a
column that the role sees masked. By hand, the mask stands there, and nothing else changes. Both texts run side by side, and the median of
the rounds counts. Out: a Markdown table in bench/results/server-cost.md.
"""

import json
import os
import re
import statistics
import subprocess

from stage import HERE, Stage, program

ROUNDS = int(os.environ.get("ROUNDS", "16"))

RULES = """
policy = "bench"
[category.none]
columns = ["public.customers.id", "public.customers.created_at", "public.orders.id", "public.orders.customer_id",
           "public.orders.order_no", "public.orders.status", "public.orders.total", "public.orders.created_at", "public.addresses.id", "public.addresses.customer_id",
           "public.addresses.is_default", "public.addresses.province"]
[category.name]
columns = ["public.customers.full_name", "public.addresses.recipient_name", "public.orders.ship_name"]
[category.phone]
columns = ["public.customers.phone", "public.addresses.phone", "public.orders.ship_phone"]
[category.email]
columns = ["public.customers.email"]
[category.birth]
columns = ["public.customers.birth_date"]
[category.address]
columns = ["public.addresses.line", "public.addresses.ward", "public.addresses.district", "public.orders.ship_address"]
[category.note]
columns = ["public.customers.note", "public.customers.gender", "public.customers.meta", "public.orders.note"]
[[role]]
name = "support"
match = { user = ["support"] }
see = { name = "name_initials", phone = "phone_last", email = "email", birth = "date_year", address = "full", note = "withhold" }
"""

# A point, a page of a list, joins, searches, groups, sets, sub-selects, and those that need a derived table.
STATEMENTS = """
SELECT c.id, <c.full_name>, <c.phone>, <c.email> FROM customers c WHERE c.id = 4711
SELECT <c.phone> FROM customers c WHERE c.id IN (1, 20, 300, 4000)
SELECT c.id, <c.full_name>, <c.birth_date> FROM customers c ORDER BY c.id LIMIT 50
SELECT c.id, <c.full_name> FROM customers c ORDER BY c.created_at DESC, c.id LIMIT 20 OFFSET 100
SELECT c.id, <c.full_name>, <c.phone>, <c.email>, <c.birth_date>, c.created_at FROM customers c
SELECT count(*) FROM customers c WHERE c.created_at > '2026-01-01'
SELECT count(*) FROM customers c WHERE <c.phone> IS NOT NULL
SELECT c.id FROM customers c WHERE <c.phone> LIKE '%321' LIMIT 20
SELECT c.id, <c.phone> FROM customers c WHERE <c.email> = 'mi***@gm***.com' ORDER BY c.id LIMIT 20
SELECT o.id, o.status, o.total, <o.ship_name>, <o.ship_phone>, <o.ship_address> FROM orders o WHERE o.id = 815
SELECT o.id, o.status, <o.ship_name>, <o.ship_phone> FROM orders o WHERE o.customer_id = 99 ORDER BY o.created_at DESC
SELECT o.id, o.order_no, <c.full_name>, <c.phone> FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = 4711
SELECT o.id, o.order_no, <c.full_name>, <c.phone>, <a.line>, a.province FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN addresses a ON a.customer_id = c.id AND a.is_default WHERE o.created_at > '2026-10-01' ORDER BY o.id LIMIT 100
SELECT a.id, <a.recipient_name>, <a.phone>, <a.line>, <a.ward>, <a.district>, a.province FROM addresses a WHERE a.customer_id = 77
SELECT a.province, count(*) FROM addresses a GROUP BY a.province ORDER BY 2 DESC
SELECT <c.birth_date>, count(*) FROM customers c GROUP BY <c.birth_date> ORDER BY 1
SELECT DISTINCT <c.full_name> FROM customers c WHERE c.id < 500
SELECT c.id, <c.phone>, sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id < 200 GROUP BY c.id ORDER BY c.id
SELECT max(<c.full_name>) FROM customers c
SELECT c.id, <c.email>, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE c.id BETWEEN 100 AND 150
SELECT <c.full_name> FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.status = 'returned') LIMIT 50
SELECT <c.phone> FROM customers c WHERE c.id = 5 UNION ALL SELECT <a.phone> FROM addresses a WHERE a.customer_id = 5
WITH recent AS (SELECT o.customer_id, max(o.created_at) AS last FROM orders o GROUP BY o.customer_id) SELECT c.id, <c.full_name>, r.last FROM recent r JOIN customers c ON c.id = r.customer_id ORDER BY r.last DESC LIMIT 20
SELECT c.id, row_number() OVER (ORDER BY <c.full_name>, c.id) FROM customers c WHERE c.id < 1000
SELECT upper(<c.full_name>) || ' ' || coalesce(<c.phone>, '-') FROM customers c WHERE c.id < 1000
""".strip().splitlines()

# As Django writes the pages of django-oscar that show persons: its administration, the dashboard, a customer's account.
OSCAR = """
SELECT "u"."id", "u"."last_login", "u"."is_superuser", "u"."username", <u.first_name>, <u.last_name>, <u.email>, "u"."is_staff", "u"."is_active", "u"."date_joined" FROM "auth_user" AS "u" WHERE "u"."id" = 4711 LIMIT 21
SELECT COUNT(*) AS "__count" FROM "auth_user" AS "u"
SELECT "u"."id", "u"."username", <u.first_name>, <u.last_name>, <u.email>, "u"."date_joined" FROM "auth_user" AS "u" ORDER BY "u"."date_joined" DESC, "u"."id" DESC LIMIT 20
SELECT "u"."id", <u.first_name>, <u.last_name>, <u.email> FROM "auth_user" AS "u" WHERE UPPER(<u.first_name>::text) LIKE UPPER('%N%') ORDER BY "u"."id" LIMIT 20
SELECT "o"."id", "o"."number", "o"."total_incl_tax", "o"."status", <o.guest_email>, "o"."date_placed", "u"."id", "u"."username", <u.first_name>, <u.last_name>, <u.email> FROM "order_order" AS "o" LEFT OUTER JOIN "auth_user" AS "u" ON ("o"."user_id" = "u"."id") ORDER BY "o"."date_placed" DESC LIMIT 20
SELECT "o"."id", "o"."number", <o.guest_email>, <s.first_name>, <s.last_name>, <s.line1>, <s.line4>, <s.postcode>, <s.phone_number>, <s.notes> FROM "order_order" AS "o" INNER JOIN "order_shippingaddress" AS "s" ON ("o"."shipping_address_id" = "s"."id") WHERE "o"."number" = '100815' LIMIT 21
SELECT "a"."id", "a"."title", <a.first_name>, <a.last_name>, <a.line1>, <a.line2>, <a.line4>, <a.state>, <a.postcode>, "a"."country_id", <a.phone_number>, <a.notes>, "a"."is_default_for_shipping" FROM "address_useraddress" AS "a" WHERE "a"."user_id" = 99 ORDER BY "a"."num_orders_as_shipping_address" DESC
SELECT "u"."id", <u.email>, COUNT("o"."id") AS "num_orders", SUM("o"."total_incl_tax") AS "spent" FROM "auth_user" AS "u" LEFT OUTER JOIN "order_order" AS "o" ON ("u"."id" = "o"."user_id") WHERE "u"."id" < 500 GROUP BY "u"."id" ORDER BY "u"."id"
SELECT "o"."status", COUNT(*) FROM "order_order" AS "o" WHERE "o"."date_placed" >= '2026-01-01' GROUP BY "o"."status" ORDER BY "o"."status"
SELECT <s.line4>, COUNT(*) FROM "order_shippingaddress" AS "s" GROUP BY <s.line4> ORDER BY 2 DESC LIMIT 10
SELECT "u"."id", <u.email> FROM "auth_user" AS "u" WHERE "u"."id" IN (1, 20, 300, 4000, 5000) AND "u"."is_active"
SELECT "o"."id", <s.first_name>, <s.phone_number> FROM "order_order" AS "o" INNER JOIN "order_shippingaddress" AS "s" ON ("o"."shipping_address_id" = "s"."id") WHERE EXISTS (SELECT 1 AS "a" FROM "order_line" AS "l" WHERE "l"."order_id" = "o"."id" AND "l"."status" = 'v7') ORDER BY "o"."id" LIMIT 50
""".strip().splitlines()
# Rows of each table of django-oscar that the statements read, and what columns hold that are not numbered.
OSCAR_ROWS = {"auth_user": 20000, "order_order": 20000, "order_shippingaddress": 20000, "address_useraddress": 20000, "order_line": 40000}
PERSONAL = {"first_name": "(ARRAY['Minh', 'Hùng', 'Anh', 'Thu'])[n % 4 + 1]", "last_name": "(ARRAY['Nguyễn Thị', 'Trần Văn', 'Lê'])[n % 3 + 1]",
            "email": "'khach' || n || '@gmail.com'", "guest_email": "'guest' || n || '@firma.vn'", "phone_number": "'+849' || lpad(n::text, 8, '0')",
            "line1": "n || ' Nguyễn Huệ, Phường Bến Nghé, Quận 1, TP. Hồ Chí Minh'", "line4": "(ARRAY['Huế', 'Đà Lạt, Lâm Đồng'])[n % 2 + 1]",
            "notes": "'Gọi trước'", "number": "(100000 + n)::text", "status": "'v' || n % 10"}

MARK = re.compile(r"<(\w+)\.(\w+)>")
TABLES = {"c": "customers", "o": "orders", "a": "addresses"}
OSCAR_TABLES = {"u": "auth_user", "o": "order_order", "s": "order_shippingaddress", "a": "address_useraddress"}


class Shop(Stage):
    """The demo's shop, with a login that reads it."""

    database, statements, tables = "shop", STATEMENTS, TABLES

    def load(self):
        # The demo's own logins, one of which the other benchmark has made.
        self.sql("DROP ROLE pgscrim")
        for name in ["roles.sql", "schema.sql", "data.sql"]:
            with open(os.path.join(HERE, "src/cli/demo", name)) as text:
                self.run(program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *self.to(self.port), stdin=text)
            os.environ["PGDATABASE"] = self.database
        self.sql("CREATE ROLE support LOGIN")
        self.rules = os.path.dirname(self.write("rules/rules.toml", RULES))

    def open(self):
        self.sql(f"GRANT CONNECT ON DATABASE {self.database} TO support")
        self.sql("GRANT USAGE ON SCHEMA public TO support")
        self.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO support")
        self.sql("ANALYZE")

    def sent(self, statement):
        """What pgscrim sends for a statement."""
        out = subprocess.run([os.path.join(HERE, "target/release/pgscrim"), "explain", "--rules", self.rules, "--role", "support", "--json",
                              "--search-path", "public", "--upstream-url", f"postgres://bench@127.0.0.1:{self.port}/{self.database}", statement],
                             check=True, stdout=subprocess.PIPE, text=True).stdout
        return json.loads(out)["sql"]

    def masks(self):
        """By table and column: the mask, with a place for the column."""
        found = {}
        for table, column in {(self.tables[table], column) for line in self.statements for table, column in MARK.findall(line)}:
            text = self.sent(f"SELECT {column} FROM {table}")
            mask = re.fullmatch(rf"select \((.*)\) AS {column} from public\.{table}", text)
            if not mask:
                raise SystemExit(f"no mask of {table}.{column} in {text}")
            found[table, column] = re.sub(rf"\b{column}\b", "{0}", mask[1].replace("{", "{{").replace("}", "}}"))
        return found

    def times(self, texts):
        """Planning and execution of each text, in milliseconds."""
        script = "SET search_path = public, pg_catalog;\nSET jit = off;\n" + "".join(f"EXPLAIN (ANALYZE, TIMING OFF) {text};\n" for text in texts)
        out = self.run(program("psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", *self.to(self.port, "support"), input=script)
        planning, execution = (re.findall(rf"{what} Time: ([\d.]+) ms", out) for what in ("Planning", "Execution"))
        if not len(planning) == len(execution) == len(texts):
            raise SystemExit(out)
        return [float(one) + float(other) for one, other in zip(planning, execution)]


class Oscar(Shop):
    """django-oscar's tables, with rows that a formula makes."""

    database, statements, tables = "oscar", OSCAR, OSCAR_TABLES

    def load(self):
        self.sql("CREATE DATABASE oscar")
        os.environ["PGDATABASE"] = self.database
        with open(os.path.join(HERE, "tests/shops/oscar-schema.sql")) as text:
            self.run(program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *self.to(self.port), stdin=text)
        self.sql("CREATE ROLE support LOGIN")
        for table, rows in OSCAR_ROWS.items():
            columns = self.sql(f"SELECT attname, format_type(atttypid, NULL), CASE WHEN atttypid = 'varchar'::regtype THEN atttypmod - 4 END FROM pg_attribute "
                               f"WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum").splitlines()
            values = [self.value(*column.split("|")) for column in columns]
            # What the rows refer to is not there.
            self.sql(f"SET session_replication_role = replica; INSERT INTO {table} SELECT {', '.join(values)} FROM generate_series(1, {rows}) n")
        self.sql("CREATE INDEX ON order_order (user_id); CREATE INDEX ON order_order (date_placed); CREATE INDEX ON address_useraddress (user_id); "
                 "CREATE INDEX ON order_line (order_id)")
        self.rules = os.path.join(HERE, "tests/shops/oscar-rules")

    @staticmethod
    def value(name, kind, length):
        """What a column of row n holds."""
        if kind == "boolean":
            return "n % 2 = 0"
        if kind in ("integer", "bigint", "smallint"):
            return "n" if kind != "smallint" else "n % 100"
        if kind == "numeric":
            return "n % 1000"
        if kind.startswith("timestamp") or kind == "date":
            return "timestamptz '2026-11-01 00:00Z' - n * interval '1 hour'"
        if kind in ("jsonb", "json"):
            return "'{}'"
        if kind == "uuid":
            return "md5(n::text)::uuid"
        return f"left(({PERSONAL.get(name, chr(39) + 'v' + chr(39) + ' || n')}), {length or 1000})"


def main():
    measured = []
    for shop in [Shop(), Oscar()]:
        os.environ["PGDATABASE"] = "postgres"
        try:
            shop.postgres()
            shop.load()
            shop.open()
            measured.append(measure(shop))
        finally:
            shop.end()
    report(measured)


def measure(shop):
    """Of each statement: the client's text, what is sent, milliseconds by hand and sent, and the number of masked columns."""
    masks, statements, tables = shop.masks(), shop.statements, shop.tables
    client = [MARK.sub(r"\1.\2", line) for line in statements]
    by_hand = [MARK.sub(lambda found: "(" + masks[tables[found[1]], found[2]].format(f"{found[1]}.{found[2]}") + ")", line) for line in statements]
    sent = [shop.sent(text) for text in client]
    rounds = {"by hand": [], "sent": []}
    for number in range(ROUNDS + 1):
        # Side by side, in changing order: the machine is as busy for the one as for the other.
        first, second = (by_hand, sent) if number % 2 else (sent, by_hand)
        # Each pair twice, of which the second counts: a new connection has caches to fill, and the first text would fill them.
        measured = shop.times([text for pair in zip(first, second) for text in pair * 2])
        first, second = ("by hand", "sent") if number % 2 else ("sent", "by hand")
        # The first round fills the caches of the server.
        if number:
            rounds[first].append(measured[2::4])
            rounds[second].append(measured[3::4])
    middle = {name: [statistics.median(column) for column in zip(*measured)] for name, measured in rounds.items()}
    masked = [len(set(MARK.findall(line))) for line in statements]
    return shop.database, list(zip(client, sent, middle["by hand"], middle["sent"], masked))


def report(shops):
    lines = []
    for name, statements in shops:
        lines += ["", f"{name}:", "", "| statement | by hand, ms | sent, ms | ratio |", "|---|---|---|---|"]
        lines += [f"| `{text}` | {one:.3f} | {other:.3f} | {other / one:.2f} |" for text, _, one, other, _ in statements]
    every = [statement for _, statements in shops for statement in statements]
    ratios = sorted(other / one for _, _, one, other, _ in every)
    longer = [len(sent) / len(text) for text, sent, _, _, masked in every if masked == 3]
    p90 = ratios[int(len(ratios) * 0.9)]
    lines.append("")
    lines.append(f"{len(ratios)} statements, medians of {ROUNDS} rounds: median {statistics.median(ratios):.3f}, p90 {p90:.3f}, most {max(ratios):.3f}; "
                 f"texts with three masked columns are {statistics.median(longer):.1f} times as long as the client's (median).")
    folder = os.path.join(HERE, "bench/results")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "server-cost.md"), "w") as out:
        out.write("\n".join(lines[1:]) + "\n")
    print("\n".join(lines[1:]))


if __name__ == "__main__":
    main()
