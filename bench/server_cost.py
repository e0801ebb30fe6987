#!/usr/bin/env python3
"""What masked statements cost the server: planning and execution of what pgscrim sends, against the same masks written by hand.

    make server-cost                   # release build, the demo's shop, some minutes
    ROUNDS=5 python3 bench/server_cost.py

In: the release binary and PostgreSQL's programs. The statements stand below as applications send them; `<c.phone>` is a column that the
role sees masked. By hand, the mask stands there, and nothing else changes. Both texts run side by side, and the median of
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

MARK = re.compile(r"<(\w+)\.(\w+)>")
TABLES = {"c": "customers", "o": "orders", "a": "addresses"}


class Shop(Stage):
    """The demo's shop, with a login that reads it."""

    def load(self):
        # The demo's own logins, one of which the other benchmark has made.
        self.sql("DROP ROLE pgscrim")
        for name in ["roles.sql", "schema.sql", "data.sql"]:
            with open(os.path.join(HERE, "src/cli/demo", name)) as text:
                self.run(program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *self.to(self.port), stdin=text)
            os.environ["PGDATABASE"] = "shop"
        self.sql("CREATE ROLE support LOGIN")
        self.sql("GRANT CONNECT ON DATABASE shop TO support")
        self.sql("GRANT USAGE ON SCHEMA public TO support")
        self.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO support")
        self.sql("ANALYZE")
        self.rules = os.path.dirname(self.write("rules/rules.toml", RULES))

    def sent(self, statement):
        """What pgscrim sends for a statement."""
        out = subprocess.run([os.path.join(HERE, "target/release/pgscrim"), "explain", "--rules", self.rules, "--role", "support", "--json",
                              "--search-path", "public", "--upstream-url", f"postgres://bench@127.0.0.1:{self.port}/shop", statement],
                             check=True, stdout=subprocess.PIPE, text=True).stdout
        return json.loads(out)["sql"]

    def masks(self):
        """By table and column: the mask, with a place for the column."""
        found = {}
        for table, column in {(TABLES[table], column) for line in STATEMENTS for table, column in MARK.findall(line)}:
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


def main():
    shop = Shop()
    try:
        shop.postgres()
        shop.load()
        measure(shop)
    finally:
        shop.end()


def measure(shop):
    masks = shop.masks()
    client = [MARK.sub(r"\1.\2", line) for line in STATEMENTS]
    by_hand = [MARK.sub(lambda found: "(" + masks[TABLES[found[1]], found[2]].format(f"{found[1]}.{found[2]}") + ")", line) for line in STATEMENTS]
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
    ratios = [sent / by_hand for sent, by_hand in zip(middle["sent"], middle["by hand"])]
    longer = [len(sent) / len(text) for sent, text, line in zip(sent, client, STATEMENTS) if len(set(MARK.findall(line))) == 3]
    lines = ["| statement | by hand, ms | sent, ms | ratio |", "|---|---|---|---|"]
    for text, one, other, ratio in zip(client, middle["by hand"], middle["sent"], ratios):
        lines.append(f"| `{text}` | {one:.3f} | {other:.3f} | {ratio:.2f} |")
    p90 = sorted(ratios)[int(len(ratios) * 0.9)]
    lines.append("")
    lines.append(f"{len(ratios)} statements, medians of {ROUNDS} rounds: median {statistics.median(ratios):.3f}, p90 {p90:.3f}, most {max(ratios):.3f}; "
                 f"texts with three masked columns are {statistics.median(longer):.1f} times as long as the client's (median).")
    folder = os.path.join(HERE, "bench/results")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "server-cost.md"), "w") as out:
        out.write("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
