"""Walks through a Medusa 2.21.2 shop by its store and admin API, the same way each time.

    medusa_shop.py BASE RECORD STATE PHASE...    phases: setup, store, admin, in this order

In: the address of a shop that is starting or runs, and the phases; the first walk needs an empty shop, with the user
admin@shop.vn. Out: RECORD, a JSON line per request with its answer, for compare.py; STATE, what was made, so that a
later walk may go on with the next phase, by another login of the database; on stdout what Medusa answered with an error,
and how many requests were sent. Some errors are meant: a wrong password, a cart without lines.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

from admin_flows import admin
from client import Client
from setup_flows import setup
from store_flows import store

PHASES = {"setup": setup, "store": store, "admin": admin}


def wait(base):
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{base}/health", timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    sys.exit(f"no shop at {base}")


def walk(base, record, state, phases):
    client = Client(base, record)
    if os.path.exists(state):
        with open(state, encoding="utf-8") as file:
            client.ids = json.load(file)
        client.shop = {"x-publishable-api-key": client.ids["token"]}
    client.flow = "login"
    client.login_staff()
    for phase in phases:
        PHASES[phase](client)
    with open(state, "w", encoding="utf-8") as file:
        json.dump(client.ids, file)
    return client


def main():
    base, record, state, *phases = sys.argv[1:]
    wait(base)
    with open(record, "w", encoding="utf-8") as file:
        client = walk(base, file, state, phases)
    print(*client.failed, sep="\n")
    print(f"requests {client.sent}, answered with an error {len(client.failed)}, not sent {client.skipped}")


main()
