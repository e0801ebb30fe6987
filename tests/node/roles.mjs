// node-postgres (pg, pg-cursor, pg-query-stream), postgres.js, knex, sequelize, typeorm and Prisma through pgscrim.
//
// Environment: PROXY_PORT, ROLE (support: restricted, owner: exempt). Arguments: which of them; all without. Ends with `ok`.

import assert from "node:assert/strict";
import { createConnection } from "node:net";

const port = Number(process.env.PROXY_PORT);
const role = process.env.ROLE;
const masked = role === "support";
const address = { host: "127.0.0.1", port, user: role, database: "shop" };
const name = (n) => (masked ? "N*** K***" : `Nguyen Thi Minh Khai${n}`);
const phone = (n) => (masked ? `*****${String(n).padStart(3, "0")}` : `0901234${String(n).padStart(3, "0")}`);
const email = (n) => (masked ? null : `khai${n}@gmail.com`);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

async function refused(code, call) {
  try {
    await call();
  } catch (error) {
    const own = error.original ?? error.driverError ?? error;
    assert.equal(own.code, code, `${own.code} ${own.message}`);
    if (code === "42501") assert.match(own.hint, /^PGS\d{4}/);
    return own;
  }
  throw new Error("not refused");
}

async function nodePostgres() {
  const { default: pg } = await import("pg");
  const { default: Cursor } = await import("pg-cursor");
  const { default: QueryStream } = await import("pg-query-stream");
  const pool = new pg.Pool({ ...address, max: 3 });
  const one = await pool.query("SELECT id, full_name, phone, email, born, score, prefs, created FROM customers WHERE id = $1", [7]);
  const row = one.rows[0];
  assert.deepEqual([row.id, row.full_name, row.phone, row.email, row.score], [7, name(7), phone(7), email(7), 49]);
  assert.deepEqual(row.prefs, { lang: "vi" });
  assert.equal(row.created.toISOString(), "2025-01-02T03:04:05.000Z");
  assert.deepEqual(one.fields.slice(0, 4).map((f) => f.dataTypeID), [23, 25, 1043, 25]);
  assert.equal(one.fields[2].dataTypeModifier, 24, "the modifier of varchar(20) is kept");
  const all = await Promise.all(range(1, 40).map((n) => pool.query({ name: "by-id", text: "SELECT phone FROM customers WHERE id = $1", values: [n] })));
  assert.deepEqual(all.map((r) => r.rows[0].phone), range(1, 40).map(phone));
  const client = await pool.connect();
  try {
    assert.deepEqual((await client.query({ text: "SELECT $1::int[] AS a, $2::jsonb AS j, $3::text AS t, $4::bytea AS b", values: [[1, 2], { a: "it's" }, null, Buffer.from([0, 255])] })).rows[0],
      { a: [1, 2], j: { a: "it's" }, t: null, b: Buffer.from([0, 255]) });
    const binary = await client.query({ text: "SELECT id, phone FROM customers WHERE id = $1", values: [3], binary: true });
    assert.deepEqual(binary.rows[0], { id: 3, phone: phone(3) });
    const several = await client.query("SELECT 1 AS one; SELECT phone FROM customers WHERE id = 2; UPDATE orders SET amount = amount WHERE id < 4");
    assert.deepEqual(several.map((r) => r.rowCount), [1, 1, 3]);
    assert.equal(several[1].rows[0].phone, phone(2));
    const rowMode = await client.query({ text: "SELECT id, phone FROM customers ORDER BY id LIMIT 2", rowMode: "array" });
    assert.deepEqual(rowMode.rows, [[1, phone(1)], [2, phone(2)]]);
    await client.query("BEGIN");
    const cursor = client.query(new Cursor("SELECT id, phone FROM customers ORDER BY id", []));
    assert.deepEqual((await cursor.read(3)).map((r) => r.phone), range(1, 3).map(phone));
    assert.equal((await cursor.read(100)).length, 47);
    await cursor.close();
    const streamed = [];
    for await (const r of client.query(new QueryStream("SELECT id, phone FROM customers WHERE id > $1 ORDER BY id", [10], { batchSize: 6 }))) streamed.push(r.phone);
    assert.deepEqual(streamed, range(11, 50).map(phone));
    // A cursor that is left early.
    const early = client.query(new Cursor("SELECT * FROM orders"));
    assert.equal((await early.read(1)).length, 1);
    await early.close();
    await refused("42703", () => client.query("SELECT nothing FROM customers"));
    await refused("25P02", () => client.query("SELECT 1"));
    await client.query("ROLLBACK");
    const conflict = await refused("23505", () => client.query("INSERT INTO customers (id, full_name) VALUES ($1, 'x')", [1]));
    assert.equal(conflict.constraint, "customers_pkey");
    assert.equal(conflict.detail.includes("(***)"), masked);
    if (masked) await refused("42501", () => client.query("SELECT note FROM customers WHERE id = $1", [1]));
    const inserted = await client.query("INSERT INTO customers (id, full_name, phone) VALUES ($1, $2, $3) RETURNING *", [9001, "Tran Van B", "0911222333"]).catch((error) => error);
    if (masked) {
      // `*` reaches the refused column.
      assert.equal(inserted.code, "42501");
      await client.query("INSERT INTO customers (id, full_name, phone) VALUES ($1, $2, $3)", [9001, "Tran Van B", "0911222333"]);
    } else assert.equal(inserted.rows[0].phone, "0911222333");
    assert.equal((await client.query("DELETE FROM customers WHERE id = $1", [9001])).rowCount, 1);
    const heard = new Promise((resolve) => client.once("notification", resolve));
    await client.query("LISTEN parcels");
    await client.query("NOTIFY parcels, 'x'");
    assert.equal((await heard).payload, masked ? "" : "x");
    const slow = client.query("SELECT count(*) FROM generate_series(1, 100000000000)");
    const request = Buffer.alloc(16);
    [16, 80877102, client.processID, client.secretKey].forEach((value, at) => request.writeInt32BE(value, at * 4));
    setTimeout(() => createConnection(port, "127.0.0.1").end(request), 200);
    await refused("57014", () => slow);
  } finally {
    client.release();
  }
  await pool.end();
}

async function postgresJs() {
  const { default: postgres } = await import("postgres");
  const sql = postgres({ ...address, max: 3, onnotice: () => {} });
  const [row] = await sql`SELECT id, full_name, phone, email, prefs, created FROM customers WHERE id = ${7}`;
  assert.deepEqual([row.full_name, row.phone, row.email, row.prefs], [name(7), phone(7), email(7), { lang: "vi" }]);
  assert.equal(row.created.toISOString(), "2025-01-02T03:04:05.000Z");
  const many = await Promise.all(range(1, 60).map((n) => sql`SELECT phone FROM customers WHERE id = ${((n - 1) % 50) + 1}`));
  assert.deepEqual(many.slice(0, 50).map((r) => r[0].phone), range(1, 50).map(phone));
  assert.deepEqual((await sql`SELECT phone FROM ${sql("customers")} WHERE id IN ${sql([1, 2])} ORDER BY ${sql("id")}`).map((r) => r.phone), [phone(1), phone(2)]);
  const orders = range(1, 5).map((n) => ({ id: 64000 + n, customer_id: 1, amount: "1.50", placed: "2025-06-01" }));
  await sql.begin(async (tx) => {
    assert.equal((await tx`INSERT INTO orders ${tx(orders)} RETURNING id`).length, 5);
    await tx.savepoint((sp) => sp`SELECT 1/0`).catch((error) => assert.equal(error.code, "22012"));
    assert.equal((await tx`UPDATE orders SET ${tx({ amount: "2.00" }, "amount")} WHERE id = 64001`).count, 1);
    assert.equal((await tx`DELETE FROM orders WHERE id > 64000`).count, 5);
  });
  const pipelined = await sql.begin((tx) => range(1, 10).map((n) => tx`SELECT phone FROM customers WHERE id = ${n}`));
  assert.deepEqual(pipelined.map((r) => r[0].phone), range(1, 10).map(phone));
  const seen = [];
  for await (const rows of sql`SELECT id, phone FROM customers ORDER BY id`.cursor(8)) seen.push(...rows.map((r) => r.phone));
  assert.deepEqual(seen, range(1, 50).map(phone));
  let text = "";
  for await (const chunk of await sql`COPY (SELECT id, phone FROM customers ORDER BY id LIMIT 2) TO STDOUT`.readable()) text += chunk;
  assert.equal(text, `1\t${phone(1)}\n2\t${phone(2)}\n`);
  const statement = await sql`SELECT phone, id FROM customers`.describe();
  assert.deepEqual(statement.columns.map((c) => [c.name, c.type]), [["phone", 1043], ["id", 23]]);
  await refused("42P01", () => sql`SELECT * FROM nowhere`);
  if (masked) await refused("42501", () => sql`SELECT note FROM customers`);
  assert.equal((await sql.unsafe("SELECT 1 AS one; SELECT phone FROM customers WHERE id = 2")).length, 2);
  const heard = new Promise((resolve) => sql.listen("parcels", resolve).then(() => sql.notify("parcels", "x").catch(() => sql`NOTIFY parcels, 'x'`)));
  assert.equal(await heard, masked ? "" : "x");
  const fresh = await sql.reserve();
  const slow = fresh`SELECT count(*) FROM generate_series(1, 100000000000)`.execute();
  setTimeout(() => slow.cancel(), 200);
  await refused("57014", () => slow);
  fresh.release();
  await sql.end();
}

async function knexBuilder() {
  const { default: knex } = await import("knex");
  const db = knex({ client: "pg", connection: address, pool: { min: 1, max: 3 } });
  assert.deepEqual(await db("customers").select("full_name", "phone", "email").where({ id: 7 }).first(), { full_name: name(7), phone: phone(7), email: email(7) });
  assert.equal(Number((await db("customers").count("* as n"))[0].n), 50);
  const joined = await db("customers as c").join("orders as o", "o.customer_id", "c.id").select("c.phone").sum("o.amount as total").groupBy("c.id", "c.phone").orderBy("total", "desc").limit(1);
  assert.equal(joined[0].phone, phone(50));
  assert.equal((await db.with("big", db("orders").where("amount", ">", 2000)).select("*").from("big")).length, 10);
  await db.transaction(async (trx) => {
    const rows = range(1, 3).map((n) => ({ id: 65000 + n, customer_id: 1, amount: 1, placed: "2025-06-01" }));
    assert.deepEqual((await trx("orders").insert(rows).returning("id")).map((r) => r.id), [65001, 65002, 65003]);
    await trx("orders").insert(rows[0]).onConflict("id").merge(["amount"]);
    assert.equal((await trx("customers").where({ id: 2 }).select("id").forUpdate().skipLocked()).length, 1);
    assert.equal(await trx("orders").where("id", ">", 65000).del(), 3);
  });
  assert.ok(await db.schema.hasTable("customers"));
  assert.ok(await db.schema.hasColumn("customers", "phone"));
  const info = await db("customers").columnInfo();
  assert.deepEqual([info.phone.type, info.phone.maxLength, info.id.nullable], ["character varying", 20, false]);
  const streamed = [];
  for await (const row of db("customers").select("phone").orderBy("id").stream({ batchSize: 9 })) streamed.push(row.phone);
  assert.deepEqual(streamed, range(1, 50).map(phone));
  assert.equal((await db.raw("SELECT phone FROM customers WHERE id = ?", [4])).rows[0].phone, phone(4));
  await db.destroy();
}

async function sequelizeModels() {
  const { Sequelize, DataTypes, Op } = await import("sequelize").then((module) => module.default);
  const db = new Sequelize("shop", role, "", { host: "127.0.0.1", port, dialect: "postgres", logging: false, pool: { max: 3 } });
  const Customer = db.define("customer", { id: { type: DataTypes.INTEGER, primaryKey: true }, full_name: DataTypes.TEXT, phone: DataTypes.STRING(20), email: DataTypes.TEXT, score: DataTypes.INTEGER, prefs: DataTypes.JSONB }, { tableName: "customers", timestamps: false });
  const Order = db.define("order", { id: { type: DataTypes.INTEGER, primaryKey: true }, amount: DataTypes.DECIMAL(12, 2), placed: DataTypes.DATEONLY, customer_id: DataTypes.INTEGER }, { tableName: "orders", timestamps: false });
  Customer.hasMany(Order, { foreignKey: "customer_id" });
  Order.belongsTo(Customer, { foreignKey: "customer_id" });
  await db.authenticate();
  const first = await Customer.findByPk(7);
  assert.deepEqual([first.full_name, first.phone, first.email, first.prefs], [name(7), phone(7), email(7), { lang: "vi" }]);
  const page = await Customer.findAndCountAll({ where: { score: { [Op.gt]: 70 } }, order: [["id", "ASC"]], limit: 5, offset: 5 });
  assert.deepEqual([page.count, page.rows[0].phone], [40, phone(16)]);
  const withOrders = await Customer.findAll({ include: [{ model: Order, separate: false }], order: [["id", "ASC"], [Order, "id", "ASC"]], limit: 3, subQuery: true });
  assert.deepEqual(withOrders.map((c) => c.orders.length), [4, 4, 4]);
  const totals = await Order.findAll({ attributes: ["customer_id", [db.fn("SUM", db.col("amount")), "total"]], group: ["customer_id"], order: [["customer_id", "ASC"]], raw: true });
  assert.equal(totals.length, 50);
  assert.equal(await Customer.count({ where: { prefs: { lang: "vi" } } }), 50);
  await db.transaction(async (transaction) => {
    const locked = await Customer.findOne({ where: { id: 9 }, lock: transaction.LOCK.UPDATE, skipLocked: true, transaction });
    locked.score += 1;
    await locked.save({ transaction });
    // Every field, masks too: what is stored stays.
    await locked.update({ phone: locked.phone, full_name: locked.full_name, score: 63 }, { transaction });
    await Order.bulkCreate(range(1, 3).map((n) => ({ id: 66000 + n, customer_id: 1, amount: 1, placed: "2025-06-01" })), { transaction, updateOnDuplicate: ["amount"] });
    await Order.upsert({ id: 66001, customer_id: 1, amount: 3, placed: "2025-06-01" }, { transaction });
    assert.equal(await Order.destroy({ where: { id: { [Op.gt]: 66000 } }, transaction }), 3);
  });
  // Outside a transaction of its own findOrCreate makes a function in plpgsql, which restricted roles may not.
  const find = { where: { id: 9002 }, defaults: { full_name: "Tran Van B", phone: "0911222333" } };
  if (masked) await refused("42501", () => Customer.findOrCreate(find));
  const [created, isNew] = masked ? await Customer.findCreateFind(find) : await Customer.findOrCreate(find);
  assert.deepEqual([isNew, created.id], [true, 9002]);
  await Customer.destroy({ where: { id: 9002 } });
  const described = await db.getQueryInterface().describeTable("customers");
  assert.equal(described.phone.type, "CHARACTER VARYING(20)");
  assert.ok((await db.getQueryInterface().showAllTables()).includes("orders"));
  assert.equal((await db.getQueryInterface().showIndex("customers")).length, 2);
  // information_schema shows constraints to the owner of the table only.
  assert.equal((await db.getQueryInterface().getForeignKeyReferencesForTable("orders")).length, masked ? 0 : 1);
  await db.close();
}

async function typeormEntities() {
  await import("reflect-metadata");
  const { DataSource, EntitySchema, In } = await import("typeorm").then((module) => module.default);
  const Customer = new EntitySchema({ name: "Customer", tableName: "customers", columns: { id: { type: "int", primary: true }, full_name: { type: "text" }, phone: { type: "varchar", length: 20, nullable: true }, email: { type: "text", nullable: true }, score: { type: "int", nullable: true } }, relations: { orders: { type: "one-to-many", target: "Order", inverseSide: "customer" } } });
  const Order = new EntitySchema({ name: "Order", tableName: "orders", columns: { id: { type: "int", primary: true }, amount: { type: "numeric", precision: 12, scale: 2 }, placed: { type: "date" } }, relations: { customer: { type: "many-to-one", target: "Customer", joinColumn: { name: "customer_id" }, inverseSide: "orders" } } });
  const db = await new DataSource({ type: "postgres", host: "127.0.0.1", port, username: role, database: "shop", entities: [Customer, Order], logging: false, installExtensions: false }).initialize();
  const customers = db.getRepository(Customer);
  const orders = db.getRepository(Order);
  const first = await customers.findOneByOrFail({ id: 7 });
  assert.deepEqual([first.full_name, first.phone, first.email], [name(7), phone(7), email(7)]);
  const [page, count] = await customers.findAndCount({ relations: { orders: true }, order: { id: "ASC" }, skip: 3, take: 2 });
  assert.deepEqual([count, page.map((c) => c.phone), page[0].orders.length], [50, [phone(4), phone(5)], 4]);
  const sums = await customers.createQueryBuilder("c").leftJoin("c.orders", "o").select("c.phone", "phone").addSelect("SUM(o.amount)", "total").groupBy("c.id").orderBy("total", "DESC").limit(1).getRawMany();
  assert.equal(sums[0].phone, phone(50));
  assert.equal(await customers.countBy({ id: In([1, 2, 3]) }), 3);
  await db.transaction(async (manager) => {
    const locked = await manager.findOne(Customer, { where: { id: 5 }, lock: { mode: "pessimistic_write" } });
    // Loaded and saved whole.
    await manager.save(Customer, { ...locked, score: 36 });
    await manager.save(Customer, { ...locked, score: 35 });
    await manager.insert(Order, range(1, 3).map((n) => ({ id: 67000 + n, amount: "1", placed: "2025-06-01", customer: { id: 1 } })));
    await manager.upsert(Order, { id: 67001, amount: "2", placed: "2025-06-01", customer: { id: 1 } }, ["id"]);
    assert.equal((await manager.delete(Order, [67001, 67002, 67003])).affected, 3);
  });
  assert.equal((await orders.find({ relations: { customer: true }, where: { customer: { id: 2 } }, order: { id: "ASC" } }))[0].customer.phone, phone(2));
  const runner = db.createQueryRunner();
  const table = await runner.getTable("customers");
  assert.ok(table.columns.some((column) => column.name === "phone" && column.length === "20"));
  assert.equal((await runner.getTable("orders")).foreignKeys.length, 1);
  assert.ok(await runner.hasTable("orders"));
  const streamed = [];
  const stream = await customers.createQueryBuilder("c").orderBy("c.id").stream();
  for await (const row of stream) streamed.push(row.c_phone);
  assert.deepEqual(streamed, range(1, 50).map(phone));
  await runner.release();
  // The changes that a migration would make are found, none of them made.
  await db.driver.createSchemaBuilder().log();
  await db.destroy();
}

async function prismaClient() {
  const { PrismaClient, Prisma } = await import("@prisma/client").then((module) => module.default);
  const { PrismaPg } = await import("@prisma/adapter-pg");
  const db = new PrismaClient({ adapter: new PrismaPg({ ...address, max: 3 }) });
  const first = await db.customers.findUniqueOrThrow({ where: { id: 7 }, include: { orders: { orderBy: { id: "asc" } } } });
  assert.deepEqual([first.full_name, first.phone, first.email, first.prefs, first.orders.length], [name(7), phone(7), email(7), { lang: "vi" }, 4]);
  assert.equal(first.orders[0].amount.toString(), "73.5");
  const page = await db.customers.findMany({ where: { score: { gt: 70 }, orders: { some: { amount: { gt: 100 } } } }, orderBy: { id: "asc" }, skip: 2, take: 2, select: { phone: true, _count: { select: { orders: true } } } });
  assert.deepEqual(page, [13, 14].map((n) => ({ phone: phone(n), _count: { orders: 4 } })));
  assert.equal((await db.orders.groupBy({ by: ["customer_id"], _sum: { amount: true }, orderBy: { customer_id: "asc" } })).length, 50);
  assert.equal((await db.orders.aggregate({ _avg: { amount: true }, _count: true }))._count, 200);
  const cursor = await db.customers.findMany({ cursor: { id: 20 }, take: 3, orderBy: { id: "asc" } });
  assert.deepEqual(cursor.map((c) => c.phone), [20, 21, 22].map(phone));
  await db.$transaction(async (tx) => {
    await tx.orders.createMany({ data: range(1, 3).map((n) => ({ id: 68000 + n, customer_id: 1, amount: 1, placed: new Date("2025-06-01") })), skipDuplicates: true });
    await tx.orders.upsert({ where: { id: 68001 }, create: { id: 68001, customer_id: 1, amount: 1, placed: new Date("2025-06-01") }, update: { amount: { increment: 1 } } });
    assert.equal((await tx.orders.deleteMany({ where: { id: { gt: 68000 } } })).count, 3);
    const updated = await tx.customers.update({ where: { id: 9 }, data: { full_name: name(9), phone: phone(9), score: { increment: 1 } } });
    assert.deepEqual([updated.phone, updated.score], [phone(9), 64]);
    await tx.customers.update({ where: { id: 9 }, data: { score: 63 } });
  }, { isolationLevel: "Serializable" });
  assert.deepEqual(await db.$queryRaw`SELECT phone FROM customers WHERE id = ${3}`, [{ phone: phone(3) }]);
  await db.customers.create({ data: { id: 1, full_name: "x" } }).then(() => assert.fail("no conflict"), (error) => assert.equal(error.code, "P2002"));
  assert.ok(Prisma.prismaVersion.client);
  await db.$disconnect();
}

const parts = { pg: nodePostgres, postgres: postgresJs, knex: knexBuilder, sequelize: sequelizeModels, typeorm: typeormEntities, prisma: prismaClient };
const wanted = process.argv.slice(2);
for (const [part, run] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(part)) continue;
  try {
    await run();
  } catch (error) {
    console.error(`${part}:`, error, error.sql ?? error.query ?? "");
    process.exit(1);
  }
}
console.log("ok");
