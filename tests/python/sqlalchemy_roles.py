"""SQLAlchemy 2 through pgscrim: Core, ORM, reflection and automap, with psycopg, psycopg2, pg8000 and asyncpg.

Environment: PROXY_PORT, ROLE (support: restricted, owner: exempt). Ends with `ok`.
"""

import asyncio
import datetime
import decimal
import os

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by, array, insert
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.ext.automap import automap_base

PORT = os.environ["PROXY_PORT"]
ROLE = os.environ["ROLE"]
MASKED = ROLE == "support"
URL = "postgresql+{}://" + f"{ROLE}@127.0.0.1:{PORT}/shop"


def name(n):
    return "N*** K***" if MASKED else f"Nguyen Thi Minh Khai{n}"


def phone(n):
    return f"*****{n:03}" if MASKED else f"0901234{n:03}"


def email(n):
    return None if MASKED else f"khai{n}@gmail.com"


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    full_name: orm.Mapped[str]
    phone: orm.Mapped[str | None] = orm.mapped_column(sa.String(20))
    email: orm.Mapped[str | None]
    born: orm.Mapped[datetime.date | None]
    score: orm.Mapped[int | None]
    prefs: orm.Mapped[dict | None] = orm.mapped_column(JSONB)
    orders: orm.Mapped[list["Order"]] = orm.relationship(back_populates="customer", order_by="Order.id")


class Order(Base):
    __tablename__ = "orders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    customer_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("customers.id"))
    amount: orm.Mapped[decimal.Decimal]
    placed: orm.Mapped[datetime.date]
    customer: orm.Mapped[Customer] = orm.relationship(back_populates="orders")


Customer.orders_count = orm.column_property(
    sa.select(sa.func.count(Order.id)).where(Order.customer_id == Customer.id).correlate_except(Order).scalar_subquery())


def reflection(engine):
    inspector = sa.inspect(engine)
    assert {"customers", "orders"} <= set(inspector.get_table_names())
    assert "customer_phones" in inspector.get_view_names()
    assert "public" in inspector.get_schema_names()
    columns = {c["name"]: c for c in inspector.get_columns("customers")}
    assert columns["phone"]["type"].length == 20 and columns["id"]["nullable"] is False, columns
    assert inspector.get_pk_constraint("customers")["constrained_columns"] == ["id"]
    [key] = inspector.get_foreign_keys("orders")
    assert (key["referred_table"], key["constrained_columns"]) == ("customers", ["customer_id"])
    assert [i["column_names"] for i in inspector.get_indexes("customers")] == [["phone"]]
    assert inspector.get_table_comment("customers")["text"] == "people who buy"
    assert inspector.get_unique_constraints("orders") == [] and inspector.get_check_constraints("orders") == []
    assert "SELECT" in inspector.get_view_definition("customer_phones")
    assert inspector.get_sequence_names() == [] and inspector.has_table("orders") and not inspector.has_table("nowhere")
    for of in (inspector.get_enums, inspector.get_domains, inspector.get_materialized_view_names, inspector.get_temp_table_names):
        assert of() == [], of
    for of in (inspector.get_multi_columns, inspector.get_multi_indexes, inspector.get_multi_foreign_keys, inspector.get_multi_pk_constraint,
               inspector.get_multi_check_constraints, inspector.get_multi_unique_constraints, inspector.get_multi_table_comment):
        assert of(), of
    metadata = sa.MetaData()
    metadata.reflect(engine, views=True)
    assert set(metadata.tables) >= {"customers", "orders", "customer_phones"}
    mapped = automap_base()
    mapped.prepare(autoload_with=engine)
    with orm.Session(engine) as session:
        # Automap names every column, `note` too.
        query = session.query(mapped.classes.orders).order_by(mapped.classes.orders.id)
        assert query.first().amount == decimal.Decimal("10.50")


def core(engine):
    customers, orders = Customer.__table__, Order.__table__
    with engine.connect() as conn:
        assert conn.dialect.server_version_info >= (14,)
        row = conn.execute(sa.select(customers.c.full_name, customers.c.phone, customers.c.email, customers.c.prefs).where(customers.c.id == 7)).one()
        assert tuple(row) == (name(7), phone(7), email(7), {"lang": "vi"}), row
        joined = sa.select(customers.c.phone, sa.func.sum(orders.c.amount).label("total")).join(orders).group_by(customers.c.id).order_by(sa.desc("total")).limit(1)
        assert conn.execute(joined).one().phone == phone(50)
        ranked = sa.select(orders.c.id, sa.func.row_number().over(partition_by=orders.c.customer_id, order_by=orders.c.amount.desc()).label("rank")).cte("ranked")
        assert conn.scalar(sa.select(sa.func.count()).select_from(ranked).where(ranked.c.rank == 1)) == 50
        tree = sa.select(sa.literal(1).label("n")).cte(recursive=True)
        tree = tree.union_all(sa.select(tree.c.n + 1).where(tree.c.n < 5))
        assert conn.scalars(sa.select(tree.c.n)).all() == [1, 2, 3, 4, 5]
        lateral = sa.select(orders.c.id).where(orders.c.customer_id == customers.c.id).order_by(orders.c.id.desc()).limit(1).lateral("last_order")
        assert conn.execute(sa.select(customers.c.phone, lateral.c.id).join(lateral, sa.true()).order_by(customers.c.id)).first() == (phone(1), 151)
        assert conn.scalar(sa.select(sa.exists().where(customers.c.phone == "0901234005"))) is True
        assert conn.scalar(sa.select(sa.cast(array([1, 2]), ARRAY(sa.Integer)))) == [1, 2]
        listed = sa.func.array_agg(aggregate_order_by(customers.c.phone, customers.c.id.desc()))
        assert conn.scalar(sa.select(listed).where(customers.c.id < 3)) == [phone(2), phone(1)]
        assert conn.scalar(sa.select(sa.func.count()).select_from(sa.union(sa.select(customers.c.id), sa.select(orders.c.id)).subquery())) == 200
        assert conn.scalar(sa.select(customers.c.prefs["lang"].astext).where(customers.c.id == 1)) == "vi"
        assert conn.scalar(sa.select(sa.case((customers.c.score > 10, "high"), else_="low")).where(customers.c.id == 5)) == "high"
        assert conn.execute(sa.text("SELECT phone FROM customers WHERE id = :id"), {"id": 4}).scalar() == phone(4)
        sampled = sa.tablesample(customers, sa.func.bernoulli(sa.literal_column("100")))
        assert conn.scalar(sa.select(sa.func.count()).select_from(sampled)) == 50
        with conn.execution_options(stream_results=True, max_row_buffer=7).execute(sa.select(customers.c.id, customers.c.phone).order_by(customers.c.id)) as rows:
            assert [tuple(row) for row in rows.partitions(10).__next__()][9] == (10, phone(10))
    with engine.begin() as conn:
        # One statement with many rows, RETURNING in order (insertmanyvalues).
        rows = [{"id": 62000 + n, "customer_id": 1, "amount": 2, "placed": datetime.date(2025, 6, 1)} for n in range(1200)]
        returned = conn.execute(sa.insert(orders).returning(orders.c.id, sort_by_parameter_order=True), rows).scalars().all()
        assert returned == [row["id"] for row in rows]
        upsert = insert(orders).values(rows[0])
        upsert = upsert.on_conflict_do_update(index_elements=[orders.c.id], set_={"amount": upsert.excluded.amount + 1}).returning(orders.c.amount)
        assert conn.scalar(upsert) == 3
        assert conn.execute(insert(orders).values(rows[0]).on_conflict_do_nothing().returning(orders.c.id)).all() == []
        moved = sa.update(orders).where(orders.c.customer_id == customers.c.id, customers.c.id == 1, orders.c.id >= 62000).values(amount=5)
        assert conn.execute(moved).rowcount == 1200
        assert len(conn.execute(sa.delete(orders).where(orders.c.id >= 62000).returning(orders.c.id)).all()) == 1200


def mapped(engine):
    with orm.Session(engine) as session:
        customer = session.get(Customer, 3)
        assert (customer.full_name, customer.phone, customer.email, customer.orders_count) == (name(3), phone(3), email(3), 4)
        assert [order.id for order in customer.orders] == [3, 53, 103, 153]
        for load in (orm.selectinload, orm.joinedload, orm.subqueryload):
            people = session.scalars(sa.select(Customer).options(load(Customer.orders)).order_by(Customer.id).limit(5)).unique().all()
            assert [len(person.orders) for person in people] == [4] * 5 and people[4].phone == phone(5)
        order = session.scalars(sa.select(Order).options(orm.contains_eager(Order.customer)).join(Order.customer).where(Customer.phone == "0901234009")).first()
        assert order.customer.phone == phone(9)
        locked = session.scalars(sa.select(Customer).where(Customer.id == 4).with_for_update(of=Customer, skip_locked=True)).one()
        locked.score += 1
        session.flush()
        assert session.scalar(sa.select(Customer.score).where(Customer.id == 4)) == 29
        session.rollback()
        assert [len(page) for page in (session.scalars(sa.select(Customer).order_by(Customer.id).offset(n).limit(20)).all() for n in (0, 20, 40))] == [20, 20, 10]
        fresh = Customer(id=9100, full_name="Tran Van B", phone="0911222333", prefs={"lang": "en"})
        fresh.orders.append(Order(id=62500, amount=1, placed=datetime.date(2025, 6, 1)))
        session.add(fresh)
        session.commit()
        assert fresh.phone == ("*****333" if MASKED else "0911222333")
        # Every column is written back, masks too: the stored number stays.
        session.execute(sa.update(Customer).where(Customer.id == 9100).values(phone=fresh.phone, full_name=fresh.full_name, score=1))
        session.commit()
        with session.begin_nested():
            session.delete(session.get(Order, 62500))
        session.expire_all()
        if MASKED:
            assert session.scalar(sa.select(Customer.id).where(Customer.phone == "0911222333")) == 9100
        session.delete(session.get(Customer, 9100))
        session.commit()
        try:
            session.expunge_all()
            session.add(Customer(id=1, full_name="x"))
            session.flush()
        except sa.exc.IntegrityError as error:
            assert error.orig is not None
            session.rollback()
        else:
            raise AssertionError("no conflict")
        streamed = session.scalars(sa.select(Customer).order_by(Customer.id).execution_options(yield_per=10))
        assert next(iter(streamed)).phone == phone(1)


def temporary(engine):
    customers = Customer.__table__
    metadata = sa.MetaData()
    staged = sa.Table(
        "staged_orders", metadata, sa.Column("key", sa.Integer, primary_key=True), sa.Column("note", sa.String(50), index=True),
        sa.Column("customer_id", sa.Integer), prefixes=["TEMPORARY"], postgresql_on_commit="PRESERVE ROWS")
    with engine.connect() as conn:
        for _ in range(2):
            metadata.create_all(conn)
            rows = [{"note": f"n{n}", "customer_id": n % 50 + 1} for n in range(300)]
            returned = conn.execute(sa.insert(staged).returning(staged.c.key, sort_by_parameter_order=True), rows)
            assert returned.scalars().all() == list(range(1, 301))
            conn.commit()
            joined = sa.select(customers.c.phone).join(staged, staged.c.customer_id == customers.c.id).order_by(staged.c.key)
            assert conn.scalars(joined).first() == phone(1)
            conn.execute(sa.text("CREATE TEMP TABLE seen ON COMMIT DROP AS SELECT id, phone FROM customers WHERE id < :n"), {"n": 10})
            assert conn.scalar(sa.text("SELECT phone FROM seen WHERE id = :n"), {"n": 3}) == phone(3)
            loaded = sa.select(staged.c.key + 64000, staged.c.customer_id, sa.literal(1), sa.literal(datetime.date(2025, 6, 1)))
            conn.execute(sa.insert(Order.__table__).from_select(["id", "customer_id", "amount", "placed"], loaded))
            assert conn.execute(sa.delete(Order.__table__).where(Order.__table__.c.id > 64000)).rowcount == 300
            conn.commit()
            assert not sa.inspect(conn).has_table("seen")
            metadata.drop_all(conn)
            conn.commit()


async def asynchronous():
    engine = create_async_engine(URL.format("asyncpg"), pool_size=2, max_overflow=0, pool_pre_ping=True)
    try:
        for _ in range(4):
            async with AsyncSession(engine) as session:
                customer = (await session.execute(sa.select(Customer).options(orm.selectinload(Customer.orders)).where(Customer.id == 3))).scalar_one()
                assert customer.phone == phone(3) and len(customer.orders) == 4
        async with engine.connect() as conn:
            rows = await conn.stream(sa.select(Customer.__table__.c.phone).order_by(Customer.__table__.c.id))
            assert (await rows.first())[0] == phone(1)
            assert "customers" in await conn.run_sync(lambda sync: sa.inspect(sync).get_table_names())
        async with engine.begin() as conn:
            table = Order.__table__
            rows = [{"id": 63000 + n, "customer_id": 1, "amount": 2, "placed": datetime.date(2025, 6, 1)} for n in range(300)]
            returned = await conn.execute(sa.insert(table).returning(table.c.id, sort_by_parameter_order=True), rows)
            assert returned.scalars().all() == [row["id"] for row in rows]
            assert (await conn.execute(sa.delete(table).where(table.c.id >= 63000))).rowcount == 300
        async with engine.begin() as conn:
            await conn.execute(sa.text("CREATE TEMP TABLE seen ON COMMIT DROP AS SELECT id, phone FROM customers"))
            assert (await conn.execute(sa.text("SELECT phone FROM seen WHERE id = :n"), {"n": 3})).scalar() == phone(3)
    finally:
        await engine.dispose()


for driver in ("psycopg", "psycopg2", "pg8000"):
    engine = sa.create_engine(URL.format(driver))
    for step in (reflection, core, mapped, temporary):
        try:
            step(engine)
        except Exception as error:
            raise AssertionError(f"{driver}: {step.__name__}") from error
    engine.dispose()
asyncio.run(asynchronous())
print("ok")
