"""The HTTP side of the walk: sends requests, records each with its answer, remembers what later requests need.

In: the shop's address, a file for the record. Out: one JSON line per request: flow, step, method, path, status, body. A
request whose path or body lacks a value, because an earlier answer did not have it, is not sent, and recorded with
status -1.
"""

import http.client
import json
import re
import time
import urllib.parse

IDENTIFIER = re.compile(r"\b(?:[a-z]+_)?01[0-9A-HJKMNP-TV-Z]{24}\b")


class Missing(str):
    """What an answer did not hold; a request with it is skipped."""


MISSING = Missing("MISSING")


def pick(answer, *keys):
    """The value under `keys`, or MISSING."""
    for key in keys:
        try:
            answer = answer[key]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return answer


def lacks(value):
    """Whether MISSING stands anywhere in a path or a body."""
    return value is not None and MISSING in json.dumps(value)


class Client:
    def __init__(self, base, record):
        self.host = urllib.parse.urlsplit(base).netloc
        self.record = record
        self.connection = http.client.HTTPConnection(self.host, timeout=60)
        self.flow = ""
        self.sent = self.skipped = 0
        self.failed = []
        self.ids = {}
        self.staff, self.shop, self.customer = {}, {}, {}

    def admin(self, method, path, body=None):
        """A request of staff."""
        return self.request(method, path, body, self.staff)

    def store(self, method, path, body=None, guest=False):
        """A request of the storefront: of the customer who is logged in, or of a guest."""
        return self.request(method, path, body, self.shop if guest else self.shop | self.customer)

    def request(self, method, path, body=None, headers=None):
        step = IDENTIFIER.sub("ID", path.split("?")[0])
        if lacks(path) or lacks(body):
            self.skipped += 1
            self.write(method, path, step, -1, None)
            return {}
        status, text = self.exchange(method, path, body, headers or {})
        self.sent += 1
        try:
            answer = json.loads(text)
        except ValueError:
            answer = text
        self.write(method, path, step, status, answer)
        if status < 400:
            return answer
        message = answer.get("message") if isinstance(answer, dict) else "no such page"
        self.failed.append(f"{self.flow}: {status} {method} {step}: {message}")
        return {}

    def exchange(self, method, path, body, headers):
        """Sends once more over a new connection, when the server has closed an idle one."""
        url = urllib.parse.quote(path, safe="/?&=%[]*,+-_.~:$")
        text = None if body is None else json.dumps(body)
        headers = {"content-type": "application/json", "accept": "application/json"} | headers
        for last in (False, True):
            try:
                self.connection.request(method, url, text, headers)
                response = self.connection.getresponse()
                return response.status, response.read().decode()
            except http.client.RemoteDisconnected:
                self.connection.close()
                if last:
                    raise

    def write(self, method, path, step, status, body):
        line = {"flow": self.flow, "step": step, "method": method, "path": path, "status": status, "body": body}
        self.record.write(json.dumps(line | {"time": time.time()}, ensure_ascii=False) + "\n")

    def login_staff(self):
        answer = self.request("POST", "/auth/user/emailpass", {"email": "admin@shop.vn", "password": "supersecret"})
        self.staff = {"authorization": f"Bearer {pick(answer, 'token')}"}

    def login_customer(self, email):
        self.customer = {}
        answer = self.store("POST", "/auth/customer/emailpass", {"email": email, "password": "Matkhau1!"})
        self.customer = {"authorization": f"Bearer {pick(answer, 'token')}"}
