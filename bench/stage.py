"""The stage of benchmarks: a private server and every proxy in front of it, each on a free port.

In: the release binary, PostgreSQL's programs, haproxy and pgbouncer. Out: ports and processes. All that is written is in one
folder, which goes in the end with the processes.
"""

import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCALE = 10
TICK = os.sysconf("SC_CLK_TCK")
# The programs of PostgreSQL take it from here; -d means another thing to each.
os.environ["PGDATABASE"] = "postgres"

RULES = """
policy = "bench"
[category.none]
columns = ["public.pgbench_accounts.aid"]
[category.money]
columns = ["public.pgbench_accounts.abalance", "public.pgbench_accounts.bid"]
[category.text]
columns = ["public.pgbench_accounts.filler"]
[[role]]
name = "masked"
match = { user = ["masked"] }
see = { money = { mask = "num_round", k = 10 }, text = "full" }
[[role]]
name = "exempt"
match = { user = ["bench"] }
exempt = true
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:" + os.path.expanduser("~/.cargo/bin"))
    for folder in sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True):
        found = found or shutil.which(name, path=folder)
    return found


def needed(*names):
    for name in names:
        if not program(name):
            raise SystemExit(f"{name} is not installed: run the make target, or sh scripts/need.sh postgres proxies valgrind")


class Stage:
    """A private server and proxies in front of it. `under` is a command that programs are run under, such as valgrind."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="pgscrim-bench-")
        self.children = []
        # PostgreSQL does not run as root.
        self.user = None
        if os.getuid() == 0:
            self.user = "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"
            shutil.chown(self.folder, self.user)
        os.chmod(self.folder, 0o755)

    def run(self, *command, **more):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, user=self.user, cwd=self.folder, **more)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        return done.stdout

    def start(self, *command, user=None):
        with open(os.path.join(self.folder, os.path.basename(command[0]) + ".log"), "a") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, user=user, cwd=self.folder)
        self.children.append(child)
        return child

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as out:
            out.write(text)
        return path

    def postgres(self):
        data = os.path.join(self.folder, "data")
        self.run(program("initdb"), "-D", data, "-U", "bench", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.port = free_port()
        settings = ["shared_buffers=512MB", "max_connections=300", "fsync=off", f"port={self.port}",
                    f"unix_socket_directories={self.folder}", "listen_addresses=127.0.0.1"]
        self.server = self.start(program("postgres"), "-D", data, *[part for one in settings for part in ("-c", one)], user=self.user)
        listens(self.port)
        while subprocess.run([program("psql"), *self.to(self.port), "-c", "SELECT 1"], capture_output=True).returncode:
            time.sleep(0.2)
        self.sql("CREATE ROLE masked LOGIN; CREATE ROLE pgscrim LOGIN")
        self.run(program("pgbench"), *self.to(self.port), "-i", "-q", "-s", str(SCALE))
        self.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO masked")
        self.sql("VACUUM ANALYZE pgbench_accounts")

    def to(self, port, user="bench"):
        return ["-h", "127.0.0.1", "-p", str(port), "-U", user]

    def sql(self, text):
        return self.run(program("psql"), "-X", "-A", "-t", *self.to(self.port), "-c", text)

    def floor(self, under=()):
        """A forwarder that only moves bytes."""
        port, binary = free_port(), os.path.join(self.folder, "floor")
        self.run("cc", "-O2", "-o", binary, os.path.join(HERE, "bench/floor.c"))
        return port, self.start(*under, binary, str(port), str(self.port), user=self.user)

    def haproxy(self, under=()):
        port = free_port()
        path = self.write("haproxy.cfg", f"""global
  nbthread 2
  maxconn 6000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen pg
  bind 127.0.0.1:{port}
  server one 127.0.0.1:{self.port}
""")
        return port, self.start(*under, program("haproxy"), "-f", path, "-db", user=self.user)

    def pgbouncer(self, under=()):
        port = free_port()
        users = self.write("users.txt", '"bench" ""\n"masked" ""\n')
        path = self.write("pgbouncer.ini", f"""[databases]
postgres = host=127.0.0.1 port={self.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = session
max_client_conn = 6000
default_pool_size = 250
server_reset_query =
log_connections = 0
log_disconnections = 0
""")
        return port, self.start(*under, program("pgbouncer"), path, user=self.user)

    def pgscrim(self, name="pgscrim", workers=None, under=()):
        port = free_port()
        self.write(f"{name}/rules/rules.toml", RULES)
        self.write(f"{name}/audit.key", "a key of the audit log of a benchmark\n")
        path = self.write(f"{name}/pgscrim.toml", f"""listen = "127.0.0.1:{port}"
metrics = "127.0.0.1:{free_port()}"
rules = "{self.folder}/{name}/rules"
{f"workers = {workers}" if workers else ""}
[upstream]
url = "postgres://pgscrim@127.0.0.1:{self.port}/postgres"
[audit]
path = "{self.folder}/{name}/audit.jsonl"
[limits]
connections = 6000
""")
        child = self.start(*under, os.environ.get("PGSCRIM", os.path.join(HERE, "target/release/pgscrim")), "serve", "--config", path)
        return port, child

    def end(self):
        for child in reversed(self.children):
            child.send_signal(signal.SIGINT if child is getattr(self, "server", None) else signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def listens(port):
    """Waits until somebody listens there."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


def cpu(pid):
    """Seconds that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid):
    """KiB of memory that a process has."""
    return memory(pid, "VmRSS")


def peak(pid):
    """KiB of memory that a process has had at most."""
    return memory(pid, "VmHWM")


def memory(pid, what):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(rf"{what}:\s+(\d+) kB", status.read())[1])
