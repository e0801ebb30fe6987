"""asyncpg keeps statements prepared: what becomes of them when the session changes its purpose."""

import asyncio
import os

import asyncpg

PHONE = "SELECT phone FROM customers WHERE id = $1"


async def main():
    connection = await asyncpg.connect(
        host="127.0.0.1", port=int(os.environ["PROXY_PORT"]), user="support", database="shop", ssl=False
    )
    assert await connection.fetchval(PHONE, 3) == "*****003"
    await connection.execute("SET pgscrim.purpose = 'verification'")
    assert await connection.fetchval(PHONE, 3) == "0901234003"
    assert await connection.fetchval(PHONE, 3) == "0901234003"
    await connection.execute("SET pgscrim.purpose = 'customer-care'")
    async with connection.transaction():
        assert await connection.fetchval(PHONE, 3) == "*****003"
    for turn in range(20):
        async with connection.transaction():
            if turn % 2:
                await connection.execute("SET LOCAL pgscrim.purpose = 'verification'")
            assert await connection.fetchval(PHONE, 3) == ("0901234003" if turn % 2 else "*****003")
    assert await connection.fetchval(PHONE, 3) == "*****003"
    # One that the purposes do not tell apart goes on.
    cities = await connection.prepare("SELECT id FROM customers WHERE id = $1")
    assert await cities.fetchval(3) == 3
    await connection.execute("SET pgscrim.purpose = 'verification'")
    await connection.close()
    print("ok")


asyncio.run(main())
