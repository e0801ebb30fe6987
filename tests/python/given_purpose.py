"""The purpose of a transaction, given by a parameter: psycopg with and without pipelines, psycopg2, asyncpg, SQLAlchemy with its pool."""

import asyncio
import os

import asyncpg
import psycopg
import psycopg2
import sqlalchemy

PORT = os.environ["PROXY_PORT"]
ADDRESS = f"host=127.0.0.1 port={PORT} user=support dbname=shop sslmode=disable"
PHONE = "SELECT phone FROM customers WHERE id = 3"
GIVE = "SELECT set_config('pgscrim.purpose', %s, true)"
SEEN = {"verification": "0901234003", "customer-care": "*****003", "statistics": None}


def psycopg_three():
    with psycopg.connect(ADDRESS, prepare_threshold=2) as connection:
        for turn in range(12):
            for purpose, phone in SEEN.items():
                with connection.transaction():
                    assert connection.execute(GIVE, (purpose,), binary=turn % 2 == 1).fetchone() == (purpose,)
                    assert connection.execute(PHONE).fetchone() == (phone,), (turn, purpose)
    # What was prepared for another purpose is not prepared anew within a pipeline.
    with psycopg.connect(ADDRESS, prepare_threshold=None) as connection:
        for purpose, phone in SEEN.items():
            with connection.transaction(), connection.pipeline():
                connection.execute(GIVE, (purpose,))
                found = connection.execute(PHONE)
                assert found.fetchone() == (phone,), purpose
        for statement, values in [(GIVE, ("marketing",)), ("SELECT set_config('pgscrim.purpose', %s, %s)", ("x", True))]:
            try:
                connection.execute(statement, values)
                raise AssertionError(statement)
            except psycopg.errors.InsufficientPrivilege as error:
                assert "purpose" in str(error), error
                connection.rollback()
        assert connection.execute("SELECT set_config('pgscrim.purpose', %s, %s)", ("verification", True)).fetchone()
        assert connection.execute(PHONE).fetchone() == ("0901234003",)


def psycopg_two():
    with psycopg2.connect(ADDRESS) as connection, connection.cursor() as cursor:
        cursor.execute(GIVE, ("verification",))
        cursor.execute(PHONE)
        assert cursor.fetchone() == ("0901234003",)


async def asyncpg_():
    connection = await asyncpg.connect(host="127.0.0.1", port=int(PORT), user="support", database="shop", ssl=False)
    for _ in range(3):
        for purpose, phone in SEEN.items():
            async with connection.transaction():
                assert await connection.fetchval("SELECT set_config('pgscrim.purpose', $1, true)", purpose) == purpose
                assert await connection.fetchval(PHONE) == phone
    assert await connection.fetchval(PHONE) == "*****003"
    await connection.close()


def sqlalchemy_with(driver):
    engine = sqlalchemy.create_engine(
        f"postgresql+{driver}://support@127.0.0.1:{PORT}/shop", pool_size=1, max_overflow=0
    )
    for reset in ["", "RESET ALL", "DISCARD ALL", "RESET pgscrim.purpose"]:
        for purpose, phone in SEEN.items():
            with engine.connect() as connection:
                give = sqlalchemy.text("SELECT set_config('pgscrim.purpose', :purpose, true)")
                connection.execute(give, {"purpose": purpose})
                assert connection.execute(sqlalchemy.text(PHONE)).scalar() == phone, (driver, reset, purpose)
                connection.commit()
                assert connection.execute(sqlalchemy.text(PHONE)).scalar() == "*****003", (driver, reset, purpose)
        for purpose, phone in SEEN.items():
            with engine.connect() as connection:
                give = sqlalchemy.text("SELECT set_config('pgscrim.purpose', :purpose, false)")
                connection.execute(give, {"purpose": purpose})
                connection.commit()
                assert connection.execute(sqlalchemy.text(PHONE)).scalar() == phone, (driver, reset, purpose)
                connection.commit()
                if reset:
                    connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                    connection.exec_driver_sql(reset)
            if reset:
                with engine.connect() as connection:
                    assert connection.execute(sqlalchemy.text(PHONE)).scalar() == "*****003", (driver, reset, purpose)
            else:
                with engine.connect() as connection:
                    # The pool keeps it, as it keeps any setting.
                    assert connection.execute(sqlalchemy.text(PHONE)).scalar() == phone, (driver, purpose)
        if not reset:
            with engine.connect() as connection:
                connection.exec_driver_sql("RESET ALL")
                connection.commit()
    engine.dispose()


psycopg_three()
psycopg_two()
asyncio.run(asyncpg_())
for driver in ["psycopg", "psycopg2", "pg8000"]:
    sqlalchemy_with(driver)
print("ok")
