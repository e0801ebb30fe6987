"""psycopg prepares what it sends often: what becomes of that when transactions have purposes of their own."""

import os

import psycopg

PHONE = "SELECT phone FROM customers WHERE id = %s"

address = f"host=127.0.0.1 port={os.environ['PROXY_PORT']} user=support dbname=shop sslmode=disable"
with psycopg.connect(address, prepare_threshold=2) as connection:
    for turn in range(30):
        with connection.transaction():
            if turn % 3 == 2:
                connection.execute("SET LOCAL pgscrim.purpose = 'verification'")
            binary = turn % 2 == 1
            (phone,) = connection.execute(PHONE, (3,), binary=binary).fetchone()
            assert phone == ("0901234003" if turn % 3 == 2 else "*****003"), (turn, phone)
print("ok")
