#!/usr/bin/env python3
"""PostgreSQL's regression suite, statement by statement, straight and through pgscrim as a restricted role whose rules protect
another table. What is not refused must answer alike: rows, types, names, tags, errors. What is refused is counted by code and,
so that both databases stay in step, run as an exempt role.

usage: lockstep.py SQL_FOLDER SCHEDULE DIRECT_PORT PROXY_PORT [FILE …]

In: databases `lockstep_a` (straight) and `lockstep_b` (behind the proxy) with the suite's test_setup in both, logins
`tester` and `migration`, which may act as the first.
Out: counts, and every difference; ends with 1 where there is one.
"""

import collections
import os
import re
import sys

from psycopg import pq

READS = re.compile(r"\s*(\(\s*)*(select|with|values|table|show|explain)\b", re.I)
SETS = re.compile(r"\s*(set|reset)\b", re.I)
# The statement says itself that its answer is of this moment, this session or this database.
VARIES = re.compile(
    r"random|now\s*\(|current_|local_?time|clock_|timeofday|backend_pid|txid|xact|snapshot|\boid\b|ctid|xmin|xmax|tableoid|pg_stat"
    r"|pg_lsn|wal_|uuid|version|explain|pg_relation|size|pg_locks|pg_cursors|pg_prepared|statement_time|::reg|loid|lo_|nextval|'now'|'today'"
    r"|'tomorrow'|'yesterday'|pg_settings|application_name|filenode|tid|pg_temp|pg_my_temp|toast",
    re.I,
)
OPTIONS = {"datestyle": "Postgres, MDY", "timezone": "PST8PDT", "options": "-c intervalstyle=postgres_verbose"}


def statements(text):
    """Statements of a psql script, each with the data of its COPY; what follows a backslash is psql's own."""
    at, start, depth, size = 0, 0, 0, len(text)
    found = []

    def take(end):
        nonlocal start
        statement = text[start:end].strip()
        start = end
        return statement if re.sub(r"--[^\n]*", "", statement).strip() else None

    while at < size:
        two, one = text[at : at + 2], text[at]
        if two == "--":
            at = text.find("\n", at)
            at = size if at < 0 else at
        elif two == "/*":
            level, at = 1, at + 2
            while at < size and level:
                step = text[at : at + 2]
                level += (step == "/*") - (step == "*/")
                at += 2 if step in ("/*", "*/") else 1
        elif one in "'\"":
            escapes = one == "'" and text[at - 1 : at] in "eE" and not text[at - 2 : at - 1].isalnum()
            at += 1
            while at < size and text[at] != one:
                at += 2 if escapes and text[at] == "\\" else 1
            at += 1
        elif one == "$" and (tag := re.match(r"\$([A-Za-z_]\w*)?\$", text[at:])) and not text[at - 1 : at].isalnum():
            end = text.find(tag[0], at + len(tag[0]))
            at = size if end < 0 else end + len(tag[0])
        elif one == "\\":
            statement = take(at)
            end = text.find("\n", at)
            at = start = size if end < 0 else end + 1
            if statement:
                found.append((statement, None))
        elif one in "()":
            depth = max(0, depth + (1 if one == "(" else -1))
            at += 1
        elif one == ";" and depth == 0:
            # The body of a function by the standard holds semicolons.
            if re.match(r"\s*create\b", text[start:at], re.I) and re.search(r"\bbegin\s+atomic\b", text[start:at], re.I):
                if not re.search(r"\bend\s*$", text[start:at], re.I):
                    at += 1
                    continue
            at += 1
            statement, data = take(at), None
            if statement and re.match(r"(--[^\n]*\n\s*)*copy\b.*\bfrom\s+stdin\b", statement, re.I | re.S):
                begin = text.find("\n", at) + 1
                end = re.compile(r"^\\\.\s*$", re.M).search(text, begin)
                if end:
                    data, at = text[begin : end.start()], end.end()
                    start = at
            if statement:
                found.append((statement, data))
        else:
            at += 1
    return found


class Session:
    def __init__(self, port, database, user="tester"):
        self.again = (port, database, user)
        self.connect(port, database, user)

    def connect(self, port, database, user):
        settings = " ".join(f"{name}='{value}'" for name, value in {
            "host": "127.0.0.1", "port": port, "dbname": database, "user": user,
            "options": OPTIONS["options"]}.items())
        self.connection = pq.PGconn.connect(settings.encode())
        if self.connection.status != pq.ConnStatus.OK:
            raise SystemExit(self.connection.error_message.decode())
        self.answers(f"SET datestyle TO '{OPTIONS['datestyle']}'; SET timezone TO '{OPTIONS['timezone']}'", None)

    def answers(self, sql, data):
        """What comes back: a list of results, each of comparable parts."""
        self.connection.send_query(sql.encode())
        found = []
        while (result := self.connection.get_result()) is not None:
            status = result.status
            if status == pq.ExecStatus.COPY_IN:
                if data is None:
                    self.connection.put_copy_end(b"no data here")
                else:
                    self.connection.put_copy_data(data.encode())
                    self.connection.put_copy_end()
            elif status == pq.ExecStatus.COPY_OUT:
                rows = []
                while True:
                    size, row = self.connection.get_copy_data(0)
                    if size <= 0:
                        break
                    rows.append(bytes(row))
                found.append(("copy", tuple(rows)))
            elif status == pq.ExecStatus.FATAL_ERROR:
                field = lambda code: (result.error_field(code) or b"").decode(errors="replace")
                hint = field(pq.DiagnosticField.MESSAGE_HINT)
                refused = re.match(r"PGS\d{4}", hint)
                found.append(("error", field(pq.DiagnosticField.SQLSTATE), refused[0] if refused else None,
                              field(pq.DiagnosticField.MESSAGE_PRIMARY), field(pq.DiagnosticField.STATEMENT_POSITION)))
            else:
                names = tuple((result.fname(n), result.ftype(n), result.fmod(n)) for n in range(result.nfields))
                rows = tuple(tuple(result.get_value(r, c) for c in range(result.nfields)) for r in range(result.ntuples))
                found.append(("rows", names, rows, result.command_status))
        if self.connection.status != pq.ConnStatus.OK:
            # A table that a cursor still reads was dropped: nobody knows what comes out of it.
            if not refusal(found):
                raise SystemExit(f"the connection is lost at: {sql[:300]}\n{found}")
            self.connect(*self.again)
        return found

    def in_transaction(self):
        return self.connection.transaction_status != pq.TransactionStatus.IDLE

    def close(self):
        self.connection.finish()


def refusal(answers):
    return next((one[2] for one in answers if one[0] == "error" and one[2]), None)


def alike(a, b, statement):
    """Types of the two databases have other numbers, and an order that nobody asked for is any."""
    if len(a) != len(b):
        return False
    for one, other in zip(a, b):
        if one[0] != other[0]:
            return False
        if one[0] == "error":
            # Restricted roles get no values in messages.
            if one[1] != other[1]:
                return False
        elif one[0] == "copy":
            if sorted(one[1]) != sorted(other[1]):
                return False
        else:
            known = lambda names: [(name, kind if kind < 16384 else 0, mod) for name, kind, mod in names]
            if known(one[1]) != known(other[1]) or one[3] != other[3]:
                return False
            blank = lambda rows: sorted(tuple(value or b"" for value in row) for row in rows)
            if one[2] != other[2] and (re.search(r"order\s+by", statement, re.I) or blank(one[2]) != blank(other[2])):
                return False
    return True


def main():
    folder, schedule, direct, proxy = sys.argv[1:5]
    files = sys.argv[5:] or [name for line in open(schedule) if line.startswith("test:") for name in line.split()[1:]]
    counts, refused = collections.Counter(), collections.Counter()
    kinds = collections.defaultdict(collections.Counter)
    for name in files:
        path = os.path.join(folder, f"{name}.sql")
        if name in ("test_setup", "infinite_recurse") or not os.path.exists(path):
            continue
        straight, through = Session(direct, "lockstep_a"), Session(proxy, "lockstep_b")
        # As an exempt role, past which no DDL goes unseen.
        behind = Session(proxy, "lockstep_b", "migration")
        behind.answers("SET ROLE tester", None)
        tried = left = 0
        for statement, data in statements(open(path, encoding="utf-8", errors="replace").read()):
            if re.search(r"pg_terminate_backend|pg_sleep|\bnotify\b|set\s+(local\s+|session\s+)?(role|session\s+auth)", statement, re.I):
                continue
            tried += 1
            b = through.answers(statement, data)
            code = refusal(b)
            if code and re.search(r"\btemp(orary)?\b", statement, re.I):
                # Nobody else can make it for this session, so the other has none either.
                refused[code] += 1
                left += 1
                for session in (straight, through, behind) if straight.in_transaction() else ():
                    session.answers("ROLLBACK", None)
                continue
            a = straight.answers(statement, data)
            if code:
                refused[code] += 1
                left += 1
                kinds[code][" ".join(re.sub(r"--[^\n]*\n", "", statement).split()[:2]).lower()] += 1
                if through.in_transaction() or straight.in_transaction():
                    # The refusal has failed the transaction: both begin anew.
                    for session in (straight, through, behind):
                        session.answers("ROLLBACK", None)
                else:
                    behind.answers(statement, data)
                continue
            if SETS.match(statement):
                behind.answers(statement, data)
            if alike(a, b, statement):
                counts["alike"] += 1
            elif VARIES.search(statement):
                counts["of this moment or database"] += 1
            elif READS.match(statement) and alike(behind.answers(statement, data), b, statement):
                counts["alike, in the same database"] += 1
            else:
                counts["different"] += 1
                print(f"--- {name}: {statement[:600]}\n  straight {str(a)[:400]}\n  through  {str(b)[:400]}", flush=True)
        print(f"{name}: {tried} statements, {left} refused", flush=True)
        for session in (straight, through, behind):
            session.close()
    print("statements:", dict(counts), "refused:", dict(refused.most_common()))
    for code, words in kinds.items():
        print(f"  {code}: {dict(words.most_common(12))}")
    sys.exit(counts["different"] > 0)


main()
