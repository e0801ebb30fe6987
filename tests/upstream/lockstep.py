#!/usr/bin/env python3
"""PostgreSQL's regression suite, statement by statement, straight and through pgscrim as a restricted role whose rules protect
another table. What is not refused must answer alike: rows, types, names, tags, errors and their places, notices, state of the transaction.

usage: lockstep.py SQL_FOLDER SCHEDULE DIRECT_PORT PROXY_PORT [FILE …]

In: databases `lockstep_a` (straight) and `lockstep_b` (behind the proxy) with the suite's test_setup in both, logins
`tester` and `migration`, which may act as the first. LOCKSTEP_REFUSED names a file for what pgscrim alone refuses.
Out: counts, and every difference that has no reason; ends with 1 where there is one.

How both worlds stay in step: there are two sessions in each, one of `tester`, whose answers are compared, and one of an exempt role.
The sessions of `tester` get the same statements: what is refused is run by neither, and a transaction in which it happens is rolled back in both.
The exempt sessions get the same statements too: those that are refused, so that later ones find their tables. So whatever differs
comes from pgscrim, or would differ between any two sessions. Of the latter kind is an answer that is the exempt session's in the same
database (numbers of objects), or one in which the exempt sessions differ as well (times, processes, transactions).
"""

import collections
import os
import re
import sys
import time

from psycopg import pq

READS = re.compile(r"\s*(\(\s*)*(select|with|values|table|show|explain)\b", re.I)
SETS = re.compile(r"\s*(set|reset|discard)\b", re.I)
# System views with columns that restricted roles read as NULL.
TEXTS = re.compile(r"\bpg_(cursors|prepared_statements|stat_activity)\b", re.I)
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
        self.connect()

    def connect(self):
        port, database, user = self.again
        settings = " ".join(f"{name}='{value}'" for name, value in {
            "host": "127.0.0.1", "port": port, "dbname": database, "user": user,
            "options": OPTIONS["options"]}.items())
        self.connection = pq.PGconn.connect(settings.encode())
        if self.connection.status != pq.ConnStatus.OK:
            raise SystemExit(self.connection.error_message.decode())
        self.notices = []
        self.connection.notice_handler = lambda result: self.notices.append(
            (field(result, pq.DiagnosticField.SEVERITY), field(result, pq.DiagnosticField.SQLSTATE)))
        self.answers(f"SET datestyle TO '{OPTIONS['datestyle']}'; SET timezone TO '{OPTIONS['timezone']}'")
        if user != "tester":
            self.answers("SET ROLE tester; SET lock_timeout TO '5s'")

    def answers(self, sql, data=None):
        """What comes back: a list of results, each of comparable parts."""
        if self.is_lost():
            return [("lost",)]
        self.notices.clear()
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
                refused = re.match(r"PGS\d{4}", field(result, pq.DiagnosticField.MESSAGE_HINT))
                found.append(("error", field(result, pq.DiagnosticField.SQLSTATE), field(result, pq.DiagnosticField.STATEMENT_POSITION),
                              refused[0] if refused else None, field(result, pq.DiagnosticField.MESSAGE_PRIMARY)))
            else:
                names = tuple((result.fname(n), result.ftype(n), result.fmod(n)) for n in range(result.nfields))
                rows = tuple(tuple(result.get_value(r, c) for c in range(result.nfields)) for r in range(result.ntuples))
                found.append(("rows", names, rows, result.command_status))
        found.append(("notices", tuple(self.notices)))
        if self.connection.status != pq.ConnStatus.OK:
            found.append(("lost",))
        else:
            found.append(("state", self.connection.transaction_status))
        return found

    def is_lost(self):
        return self.connection.status != pq.ConnStatus.OK

    def in_transaction(self):
        return self.connection.transaction_status != pq.TransactionStatus.IDLE

    def close(self):
        self.connection.finish()


def field(result, code):
    return (result.error_field(code) or b"").decode(errors="replace")


def refusal(answers):
    """Code and message of what pgscrim refuses."""
    return next(((one[3], one[4]) for one in answers if one[0] == "error" and one[3]), None)


def failure(answers):
    return next((one[1] for one in answers if one[0] == "error"), None)


def known(names):
    """Types that the databases made have other numbers."""
    return [(name, kind if kind < 16384 else 0, mod) for name, kind, mod in names]


def alike(a, b, statement):
    """Whether two answers are the same; an order that nobody asked for is any."""
    if len(a) != len(b):
        return False
    for one, other in zip(a, b):
        if one[0] != other[0]:
            return False
        if one[0] == "error":
            # Restricted roles get no values in messages.
            if one[1:3] != other[1:3]:
                return False
        elif one[0] == "copy":
            if sorted(one[1]) != sorted(other[1]):
                return False
        elif one[0] == "rows":
            if known(one[1]) != known(other[1]) or one[3] != other[3]:
                return False
            in_any_order = lambda rows: sorted(tuple((value is None, value or b"") for value in row) for row in rows)
            if one[2] != other[2] and (re.search(r"order\s+by", statement, re.I) or in_any_order(one[2]) != in_any_order(other[2])):
                return False
        elif one != other:
            return False
    return True


def without_places(answers):
    return [(*one[:2], "") if one[0] == "error" else one for one in answers]


def begins(pattern, statement):
    """Whether a statement begins so, behind its comments."""
    return pattern.match(re.sub(r"--[^\n]*\n|/\*.*?\*/", " ", statement, flags=re.S)) is not None


def built_in(statement, behind):
    """The statement with the names of built-in functions qualified where the suite made others of that name, as pgscrim prints them."""
    found = behind.answers("SELECT DISTINCT p.proname FROM pg_proc p, pg_proc b WHERE b.oid < 16384 AND p.oid >= 16384 AND p.proname = b.proname")
    names = [re.escape(row[0].decode()) for one in found if one[0] == "rows" for row in one[2]]
    return re.sub(rf"(?<![\w.])({'|'.join(names)})(?=\s*\()", r"pg_catalog.\1", statement) if names else statement


def same_form(a, b):
    """Whether two answers have the same columns, whatever their rows."""
    form = lambda answers: [known(one[1]) if one[0] == "rows" else one[0] for one in answers if one[0] != "notices"]
    return form(a) == form(b)


def without_texts(a, b):
    """The first answer without what the second has as NULL: texts of statements, which no restricted role reads."""
    found = []
    for one, other in zip(a, b):
        if one[0] == other[0] == "rows" and len(one[2]) == len(other[2]):
            rows = tuple(tuple(None if hidden is None else value for value, hidden in zip(*pair)) for pair in zip(one[2], other[2]))
            one = (*one[:2], rows, *one[3:])
        found.append(one)
    return found


def reason(statement, data, a, b, beside, behind):
    """Why the answers differ though nothing is wrong; none where something is."""
    reads = begins(READS, statement)
    if not reads:
        for session in (beside, behind):
            session.answers("BEGIN")
    c, d = behind.answers(statement, data), beside.answers(statement, data)
    if not reads:
        for session in (beside, behind):
            session.answers("ROLLBACK")
    if reads and alike(c[:-1], b[:-1], statement):
        return "alike, in the same database"
    if reads and alike(without_places(behind.answers(built_in(statement, behind))[:-1]), without_places(b[:-1]), statement):
        return "a function of the suite's has the name of a built-in one"
    if alike(without_places(a), without_places(b), statement) and not any(one[2] for one in b if one[0] == "error"):
        return "the place of the error is not told"
    if TEXTS.search(statement) and alike(without_texts(a, b), b, statement):
        return "texts of statements are withheld"
    if not alike(c, d, statement) and same_form(a, b):
        return "differs between any two sessions"
    return None


def main():
    folder, schedule, direct, proxy = sys.argv[1:5]
    files = sys.argv[5:] or [name for line in open(schedule) if line.startswith("test:") for name in line.split()[1:]]
    counts, refused, both = collections.Counter(), collections.Counter(), collections.Counter()
    kinds = collections.defaultdict(collections.Counter)
    alone = open(os.environ.get("LOCKSTEP_REFUSED", os.devnull), "w", encoding="utf-8")
    for name in files:
        path = os.path.join(folder, f"{name}.sql")
        if name in ("test_setup", "infinite_recurse") or not os.path.exists(path):
            continue
        straight, through = Session(direct, "lockstep_a"), Session(proxy, "lockstep_b")
        # As an exempt role, past which no DDL goes unseen.
        beside, behind = Session(direct, "lockstep_a", "migration"), Session(proxy, "lockstep_b", "migration")
        sessions = (straight, through, beside, behind)
        tried = left = 0

        def differs(what, statement, one, other):
            counts["DIFFERENT"] += 1
            print(f"--- {name}: {what}: {statement[:600]}\n  straight {str(one)[:600]}\n  through  {str(other)[:600]}", flush=True)

        for statement, data in statements(open(path, encoding="utf-8", errors="replace").read()):
            if pause := re.search(r"^\s*select\s+pg_sleep\s*\(([\d.]+)\)", statement, re.I | re.M):
                # Later statements want some time between them; restricted roles may not have the server wait.
                time.sleep(min(float(pause[1]), 2))
            if re.search(r"pg_terminate_backend|pg_sleep|\bnotify\b|set\s+(local\s+|session\s+)?(role|session\s+auth)", statement, re.I):
                continue
            tried += 1
            b = through.answers(statement, data)
            no = refusal(b)
            if no:
                code, message = no
                left += 1
                if any(session.in_transaction() for session in (straight, through)):
                    # The refusal has failed the transaction: all begin anew.
                    for session in sessions:
                        session.answers("ROLLBACK")
                    refused[code] += 1
                    kinds[code]["within a transaction"] += 1
                elif begins(SETS, statement):
                    refused[code] += 1
                    kinds[code]["set"] += 1
                else:
                    d, c = beside.answers(statement, data), behind.answers(statement, data)
                    if not begins(READS, statement) and not alike(d, c, statement):
                        differs("exempt", statement, d, c)
                    if failure(d) == failure(b):
                        both[code] += 1
                    else:
                        refused[code] += 1
                        kinds[code][" ".join(re.sub(r"--[^\n]*\n", "", statement).split()[:2]).lower()] += 1
                        print(f"{code} {name} {failure(d) or ''}: {message}\n    {statement}", file=alone, flush=True)
            else:
                a = straight.answers(statement, data)
                if begins(SETS, statement):
                    for session in (beside, behind):
                        session.answers(statement)
                if alike(a, b, statement):
                    counts["alike"] += 1
                elif why := reason(statement, data, a, b, beside, behind):
                    counts[why] += 1
                else:
                    differs("restricted", statement, a, b)
            # Who has lost one has lost its twin.
            for pair in ((straight, through), (beside, behind)):
                if any(session.is_lost() for session in pair):
                    counts["connections lost"] += 1
                    for session in pair:
                        session.close()
                        session.connect()
            if straight.connection.transaction_status != through.connection.transaction_status:
                for session in (straight, through):
                    session.answers("ROLLBACK")
            for session in (beside, behind):
                if session.in_transaction():
                    session.answers("ROLLBACK")
        print(f"{name}: {tried} statements, {left} refused", flush=True)
        for session in sessions:
            session.close()
    print("statements:", dict(counts))
    print("refused by both with the same SQLSTATE:", dict(both.most_common()))
    print("refused by pgscrim alone:", dict(refused.most_common()))
    for code, words in kinds.items():
        print(f"  {code}: {dict(words.most_common(12))}")
    sys.exit(counts["DIFFERENT"] > 0)


main()
