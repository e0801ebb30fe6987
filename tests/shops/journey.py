#!/usr/bin/env python3
"""The journey of a DBA on django-oscar's schema, with the time of each step: discover, sort, check, test, observe, enforce.

    make journey                     # a private PostgreSQL, the shop's data, the commands; minutes, most of them the shop's own

In: the program, PostgreSQL's programs, a Python with tests/shops/requirements.txt. Out: a table of steps, commands and times, and what the
shop's staff pages said before and after. What a person does between the commands is done by the replacements below: EDITS.
"""

import glob
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PGSCRIM = os.environ.get("PGSCRIM", os.path.join(HERE, "target", "debug", "pgscrim"))
# Pages of a kind that the walk visits.
EACH = os.environ.get("EACH", "1")

# What a person does to the draft, in order: (what for, pattern, replacement).
EDITS = [
    ("take the signs from the roles", r"(?m)^#: ?", ""),
    ("the login of the shop", r'"shop_app"', '"storefront"'),
    ("the login of the staff", r'user = \["storefront", "support"\]', 'user = ["support"]'),
    ("take the signs from the columns, all read", r'(?m)^    # (".*",) # review$', r"    \1"),
]
# After what `check` and `audit coverage` said.
ENFORCE = [
    ("who logs people in sees what it compares", r'see\.secret = "withhold"', 'see.secret = "clear"'),
    ("and the names they log in with", r'see\.account = "full"', 'see.account = "clear"'),
    ("the end of observing", r"(?m)^observe = true.*\n", ""),
]
TESTS = """
[[test]]
name = "staff works with masks"
user = "support"
sql = "SELECT email, first_name FROM auth_user"
expect = { email = "email", first_name = "name_initials" }
[[test]]
name = "the shop sees what customers enter"
user = "storefront"
sql = "SELECT line1, phone_number FROM order_shippingaddress"
expect = { "*" = "clear" }
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name):
    for folder in [os.environ.get("PGSCRIM_PG_BIN", "")] + sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True):
        if shutil.which(name, path=folder or None):
            return shutil.which(name, path=folder or None)
    sys.exit(f"no program {name}")


class Desk:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="pgscrim-journey-")
        self.rows, self.children = [], []
        # PostgreSQL does not run as root.
        self.user = None
        if os.getuid() == 0:
            self.user = "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"
            shutil.chown(self.folder, self.user)
        os.chmod(self.folder, 0o755)
        self.port, self.proxy, self.metrics = free_port(), free_port(), free_port()

    def start_server(self):
        data = os.path.join(self.folder, "data")
        subprocess.run([program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"], check=True, stdout=subprocess.DEVNULL, user=self.user, cwd="/")
        server = [program("postgres"), "-D", data, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}", "-c", "fsync=off"]
        self.children.append(subprocess.Popen(server, stderr=open(os.path.join(self.folder, "postgres.log"), "w"), user=self.user, cwd="/"))
        for _ in range(200):
            if self.psql("postgres", "SELECT 1", check=False).returncode == 0:
                return
            time.sleep(0.1)
        sys.exit("PostgreSQL did not start")

    def psql(self, database, sql, check=True):
        return subprocess.run([program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database, "-c", sql], check=check, capture_output=True)

    def script(self, database, path):
        subprocess.run([program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database, "-f", path], check=True, capture_output=True)

    def write(self, name, text):
        path = os.path.join(self.folder, "desk", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(os.path.join(self.folder, "desk", name), encoding="utf-8") as file:
            return file.read()

    def run(self, step, *arguments, codes=(0,)):
        start = time.monotonic()
        ran = subprocess.run([PGSCRIM, *arguments], cwd=os.path.join(self.folder, "desk"), capture_output=True, text=True)
        self.rows.append((step, f"`pgscrim {' '.join(arguments)}`", f"{time.monotonic() - start:.1f} s"))
        if ran.returncode not in codes:
            sys.exit(f"{arguments}: {ran.returncode}\n{ran.stdout}{ran.stderr}")
        return ran

    def edit(self, step, name, edits):
        text, lines = self.read(name), 0
        for what, pattern, replacement in edits:
            text, count = re.subn(pattern, replacement, text)
            if not count:
                sys.exit(f"nothing to edit: {what}")
            lines += count
        self.write(name, text)
        self.rows.append((step, "; ".join(what for what, _, _ in edits), f"{len(edits)} edits of {lines} lines"))

    def config(self, database):
        self.write("pgscrim.toml", f'listen = "127.0.0.1:{self.proxy}"\nmetrics = "127.0.0.1:{self.metrics}"\nrules = "my-rules"\n[upstream]\nurl = "postgres://pgscrim@127.0.0.1:{self.port}/{database}"\n[audit]\npath = "audit.jsonl"\n')
        return "--config", "pgscrim.toml"

    def serve(self, *config):
        desk = os.path.join(self.folder, "desk")
        self.children.append(subprocess.Popen([PGSCRIM, "serve", *config], cwd=desk, stderr=subprocess.DEVNULL))
        time.sleep(3)

    def table(self):
        print("\n| step | what | time |\n|---|---|---|")
        for row in self.rows:
            print("| " + " | ".join(row) + " |")

    def end(self):
        for child in reversed(self.children):
            child.send_signal(2)
            child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def walk(self, step, port, role):
        report = os.path.join(self.folder, f"{step.replace(' ', '-')}.json")
        environment = {**os.environ, "PROXY_PORT": str(port), "ROLE": role, "DATABASE": "oscar", "EACH": EACH}
        start = time.monotonic()
        subprocess.run([sys.executable, os.path.join(HERE, "tests/shops/oscar_shop.py"), "walk", "staff", report], env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(report, encoding="utf-8") as file:
            found = json.load(file)
        said = f"{sum(found['pages'].values())} pages, {found['distinct']} distinct statements, {len(found['refused'])} refused, logged in: {found['logins']['staff']}"
        self.rows.append((step, f"the staff's pages: {said}", f"{time.monotonic() - start:.0f} s"))
        return found


def main():
    desk = Desk()
    config = desk.config("oscar")
    try:
        desk.start_server()
        for sql in ("CREATE ROLE owner SUPERUSER LOGIN", "CREATE ROLE storefront LOGIN", "CREATE ROLE support LOGIN", "CREATE ROLE pgscrim LOGIN", "CREATE DATABASE oscar OWNER owner"):
            desk.psql("postgres", sql)
        environment = {**os.environ, "PROXY_PORT": str(desk.port), "ROLE": "owner", "DATABASE": "oscar"}
        subprocess.run([sys.executable, os.path.join(HERE, "tests/shops/oscar_shop.py"), "fill"], env=environment, check=True, stdout=subprocess.DEVNULL)
        desk.run("discover", "discover", *config, "--out", "my-rules/10-data.toml")
        desk.edit("sort", "my-rules/10-data.toml", EDITS)
        checked = desk.run("check", "check", *config).stdout
        warnings = re.findall(r"^warning .*$", checked, re.M)
        desk.write("my-rules/shop.test.toml", TESTS)
        desk.run("test", "test", *config)
        desk.serve(*config)
        observed = desk.walk("observe", desk.proxy, "support")
        covered = desk.run("look", "audit", "coverage", *config, codes=(0, 2)).stdout
        desk.edit("enforce", "my-rules/10-data.toml", ENFORCE)
        desk.run("check again", "check", *config, "--strict")
        time.sleep(5)
        enforced = desk.walk("enforced", desk.proxy, "support")
        desk.table()
        print("\nwarnings of the first check:", *warnings, "\ncoverage:", covered, sep="\n")
        for name, found in (("observe", observed), ("enforced", enforced)):
            print(f"{name}: refused {found['refused']}, failed {sorted(found['failed'])[:5]}, raised {found['raised']}")
        if enforced["refused"] or not enforced["logins"]["staff"]:
            sys.exit("enforcing broke the shop")
    finally:
        desk.end()


if __name__ == "__main__":
    main()
