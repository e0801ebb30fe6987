"""psql in a terminal: tab completion of tables, columns, functions and settings. Prints what the terminal showed."""

import os
import pty
import select
import sys
import time

port, user = os.environ["PROXY_PORT"], os.environ["ROLE"]
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", PSQL_HISTORY="/dev/null", PAGER="cat", LC_ALL="C.UTF-8", PSQLRC="/dev/null")
    os.execvp("psql", ["psql", "-X", "-h", "127.0.0.1", "-p", port, "-U", user, "-d", "shop"])


def read(seconds, until=None):
    seen = b""
    end = time.time() + seconds
    while time.time() < end:
        ready, _, _ = select.select([fd], [], [], 0.1)
        if ready:
            try:
                chunk = os.read(fd, 65536)
            except OSError:
                return seen
            seen += chunk
            if until and until in seen:
                return seen
        elif until is None and seen:
            return seen
    return seen


out = read(20, b"=> ") if user == "support" else read(20, b"=# ")
for typed in sys.argv[1:]:
    os.write(fd, typed.encode().decode("unicode_escape").encode())
    time.sleep(0.3)
    out += read(5)
    # Drop the line: Ctrl-U leaves psql's own buffer alone, \r clears what was sent.
    os.write(fd, b"\x15\\r\n")
    out += read(3)
os.write(fd, b"\x15\\q\n")
out += read(5)
os.waitpid(pid, 0)
sys.stdout.write(out.decode("utf-8", "replace"))
