#!/usr/bin/env python3
"""What each mask costs the server per value: a million rows, counted in clear and masked, in turn.

    make mask-cost                     # release build, a private server, some ten minutes
    ROWS=100000 ROUNDS=3 python3 bench/mask_cost.py

In: the release binary and PostgreSQL's programs. Each mask stands in the rules of a role of its own, and what `pgscrim explain` says is
run: `SELECT count(column)`, which computes the mask of every row and sends one number. The least time of the rounds counts, one
process, no JIT. Out: a Markdown table in bench/results/mask-cost.md, masks by class. A mask that
rules/README.md names and that is not measured is an error.
"""

import json
import os
import re
import subprocess

from stage import HERE, Stage, program

ROWS = int(os.environ.get("ROWS", "1000000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
PGSCRIM = os.environ.get("PGSCRIM", os.path.join(HERE, "target/release/pgscrim"))

# Columns: type, value of row n, masks with their parameters.
COLUMNS = {
    "name": ("varchar(100)", "(ARRAY['Nguyễn Thị Minh Khai', 'Trần Văn Hùng', 'Lê Hoàng Anh', 'Phạm Thu'])[n % 4 + 1]", [
        "null", "constant value='***'", "full", "partial first=1,last=1", "name_initials", "name_family", "name_given", "name_words", "name_pseudo"]),
    "phone": ("varchar(20)", "'09' || lpad(n::text, 8, '0')", ["phone_vn", "phone_last", "phone_format", "phone_e164_hash", "phone_valid_fake"]),
    "phone_number": ("bigint", "84900000000 + n", ["phone_bigint", "pseudo_int lo=1,hi=1000000"]),
    "mail": ("varchar(255)", "'khach' || n || (ARRAY['@gmail.com', '@firma.vn'])[n % 2 + 1]", ["email", "email_domain", "email_anon", "email_pseudo"]),
    "address": ("text", "'Số ' || n % 900 || ' Nguyễn Huệ, Phường Bến Nghé, Quận 1, TP. Hồ Chí Minh'", ["address_province", "address_area", "address_street_hidden"]),
    "postcode": ("text", "lpad((n % 99999)::text, 5, '0')", ["postcode_first"]),
    "latitude": ("numeric", "10.7769 + n * 0.0001", ["geo_round d=2"]),
    "card": ("varchar(19)", "'970436' || lpad(n::text, 10, '0')", ["pan", "pan_last4"]),
    "account": ("varchar(34)", "lpad(n::text, 13, '7')", ["bank_account", "hash", "pseudonym prefix='kh_'"]),
    "iban": ("text", "'DE44500105175407' || lpad((n % 999999)::text, 6, '0')", ["iban"]),
    "cccd": ("text", "lpad(n::text, 12, '079')", ["cccd"]),
    "cmnd": ("text", "lpad(n::text, 9, '2')", ["cmnd"]),
    "mst": ("text", "lpad(n::text, 10, '3')", ["mst"]),
    "plate": ("text", "'59A' || lpad((n % 99999)::text, 5, '0')", ["plate"]),
    "url": ("text", "'https://cdn.shop.vn/u/' || md5(n::text) || '.mp4?sig=' || n", ["url_placeholder url='https://static.shop.vn/m.png'", "url_host", "url_ext", "url_signed_strip"]),
    "picture": ("text", "'data:image/png;base64,' || repeat(md5(n::text), 4)", ["data_uri"]),
    "file": ("bytea", "decode(md5(n::text), 'hex')", ["bytea_placeholder"]),
    "born": ("date", "date '1960-01-01' + n % 20000", ["date_year", "date_month", "birth_band years=10", "date_const", "date_shift_keyed"]),
    "moment": ("timestamptz", "timestamptz '2024-01-01 00:00+00' + n * interval '1 minute'", ["ts_hour", "ts_day"]),
    "amount": ("numeric(12,2)", "n % 10000000", ["num_zero", "num_const value=1", "num_round k=1000", "num_bucket bounds=[0,1000,100000]", "num_sign"]),
    "note": ("text", "'Gọi trước khi giao, số phụ 09' || lpad(n::text, 8, '0') || ', mail khach' || n || '@gmail.com'", ["text_redact", "text_first n=10", "text_scrub"]),
    "price": ("text", "n::text", ["range_text bounds=[1000,100000]"]),
    "meta": ("jsonb", "jsonb_build_object('tier', 'gold', 'phone', '0901234567', 'points', n)", ["json paths={'$.phone'='phone_vn'}", "json_keep allow=['tier']"]),
}
# Up to how many nanoseconds a value, and what the mask is then. What calls the function of `pgscrim install` is a class of its own.
CLASSES = {"free": (300, "a constant, a cut, a comparison"), "short": (2000, "a function or two, a short pattern"), "long": (float("inf"), "several patterns over the whole text"), "keyed": (0, "the function `pgscrim.keyed`, in PL/pgSQL, and what prepares the value")}


def treatment(mask):
    name, _, parameters = mask.partition(" ")
    # Commas within brackets separate members.
    parts = re.sub(r",(?![^\[{]*[\]}])", ", ", parameters).replace("'", '"')
    parts = parts.replace('{"$.phone"=', '{ "$.phone" = ')
    return f'{{ mask = "{name}"{", " + parts if parts else ""} }}'


def rules():
    text = 'policy = "bench"\n[category.none]\ncolumns = ["public.*.id"]\n[subject]\nkey = "public.t_born.id"\n'
    for column in COLUMNS:
        text += f'[category.{column}]\ncolumns = ["public.t_{column}.{column}"]\n'
    for column, (_, _, masks) in COLUMNS.items():
        for mask in masks:
            name = mask.split(" ")[0]
            text += f'[[role]]\nname = "{name}"\nmatch = {{ user = ["{name}"] }}\nsee = {{ {column} = {treatment(mask)} }}\n'
    return text


class Values(Stage):
    def load(self):
        for column, (kind, _, _) in COLUMNS.items():
            self.sql(f"CREATE TABLE t_{column} (id bigint PRIMARY KEY, {column} {kind})")
        key = self.write("mask.key", "0123456789abcdef" * 4)
        os.chmod(key, 0o600)
        install = subprocess.run([PGSCRIM, "install", "--key-file", key], check=True, stdout=subprocess.PIPE, text=True).stdout
        self.run(program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *self.to(self.port), input=install)
        self.rules = os.path.dirname(self.write("rules/rules.toml", rules()))

    def fill(self, column):
        self.sql(f"INSERT INTO t_{column} SELECT n, {COLUMNS[column][1]} FROM generate_series(1, {ROWS}) n")
        self.sql(f"VACUUM (FREEZE, ANALYZE) t_{column}")

    def sent(self, mask, column):
        ran = subprocess.run([PGSCRIM, "explain", "--rules", self.rules, "--role", mask, "--json", "--search-path", "public",
                              "--upstream-url", f"postgres://bench@127.0.0.1:{self.port}/postgres", f"SELECT count({column}) FROM t_{column}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if ran.returncode:
            raise SystemExit(f"{mask}: {ran.stderr}{ran.stdout}")
        return json.loads(ran.stdout)["sql"]

    def took(self, sql):
        """Milliseconds of execution."""
        script = f"SET jit = off; SET max_parallel_workers_per_gather = 0;\nEXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) {sql};\n"
        out = self.run(program("psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", *self.to(self.port), input=script)
        return float(re.search(r"Execution Time: ([\d.]+) ms", out)[1])


def main():
    with open(os.path.join(HERE, "rules/README.md"), encoding="utf-8") as manual:
        listed = set(re.findall(r"(?m)^\| `(\w+)` \|", manual.read().split("\n## Masks\n")[1].split("\n### What masks cost")[0]))
    measured = {mask.split(" ")[0] for _, _, masks in COLUMNS.values() for mask in masks}
    if listed != measured:
        raise SystemExit(f"not measured: {sorted(listed - measured)}; not in rules/README.md: {sorted(measured - listed)}")
    stage = Values()
    try:
        stage.postgres()
        stage.load()
        measure(stage)
    finally:
        stage.end()


def measure(stage):
    rows = []
    for column, (kind, _, masks) in COLUMNS.items():
        stage.fill(column)
        texts = {"": f"SELECT count({column}) FROM public.t_{column}", **{mask: stage.sent(mask.split(" ")[0], column) for mask in masks}}
        least = dict.fromkeys(texts, float("inf"))
        for number in range(ROUNDS):
            for mask, text in texts.items():
                # What takes long scatters little.
                if number < 2 or least[mask] < 5000:
                    least[mask] = min(least[mask], stage.took(text))
        keyed = {mask for mask, text in texts.items() if "pgscrim.keyed" in text}
        stage.sql(f"TRUNCATE t_{column}")
        for mask in masks:
            cost = max(0, least[mask] - least[""]) * 1e6 / ROWS
            name = "keyed" if mask in keyed else next(name for name, (most, _) in CLASSES.items() if cost < most)
            rows.append((cost, mask.split(" ")[0], kind, least[mask] / least[""], name))
            print(f"{mask}: {cost:.0f} ns, {least[mask] / least['']:.1f} times", flush=True)
    lines = ["| class | a value | what it is | masks, with times reading the column |", "|---|---|---|---|"]
    for name, (_, what) in CLASSES.items():
        of = sorted((ratio, mask, cost) for cost, mask, _, ratio, other in rows if other == name)
        costs = [cost / 1000 for _, _, cost in of]
        lines.append(f"| {name} | {min(costs):.1f} to {max(costs):.1f} µs | {what} | " + ", ".join(f"`{mask}` {ratio:.0f}" for ratio, mask, _ in of) + " |")
    path = os.path.join(HERE, "bench/results/mask-cost.md")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")
    print("\n".join(lines))


main()
