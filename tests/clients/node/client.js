// mysql2: "query" puts parameters into the statements, "execute" prepares them on the server, where each number arrives as a
// DOUBLE. A pool, and a stream.
"use strict";
const mysql = require("mysql2/promise");
const env = process.env;

let count = 0;
function equal(what, got, want) {
  const text = (x) => JSON.stringify(x, (_, v) => (typeof v === "bigint" ? `${v}n` : v)).slice(0, 200);
  if (text(got) !== text(want)) {
    throw new Error(`${what}: got ${text(got)}, want ${text(want)}`);
  }
  count++;
}

const run = process.argv[2]; // the method of a connection that runs a statement

function pool(database) {
  return mysql.createPool({
    host: env.DB_HOST, port: Number(env.DB_PORT), user: env.DB_USER, password: env.DB_PASSWORD, database,
    connectionLimit: 3, supportBigNumbers: true, dateStrings: true, charset: "utf8mb4",
  });
}

async function kinds(db) {
  const [[row], fields] = await db[run]("SELECT * FROM kinds WHERE id = ?", [1]);
  const want = {
    i8: -128, i16: 32767, i32: -2147483648, i64: "9223372036854775807", u64: "18446744073709551615", d: "1234567890.1234",
    f: 1.5, r: 0.1, day: "2024-02-29", moment: "2024-02-29 23:59:58.123456", span: "-12:34:56.789", y: 2024,
    word: "Grüße", words: "naïve 日本 🐬", choice: "green", several: "a,c", nothing: null,
  };
  for (const [name, value] of Object.entries(want)) {
    equal(name, row[name], value);
  }
  equal("bin", row.bin.toString("hex"), "00ff80");
  equal("bits", row.bits.toString("hex"), "a5");
  equal("doc", typeof row.doc === "string" ? JSON.parse(row.doc) : row.doc, { k: [1, 2] });
  equal("table of a column", fields[1].orgTable, "kinds");
}

async function notes(db) {
  const title = "größe 🐬";
  const body = "it's \\ \"quoted\"\n";
  const [inserted] = await db[run]("INSERT INTO notes (title, body, n) VALUES (?, ?, ?)", [title, body, 1]);
  const id = inserted.insertId;
  equal("insert id", id > 0, true);
  const [[note]] = await db[run]("SELECT title, body FROM notes WHERE id = ?", [id]);
  equal("unicode", note, { title, body });
  const failed = await db[run]("INSERT INTO notes (title) VALUES (?)", [title]).catch((e) => e);
  equal("duplicate", [failed.code, failed.errno, failed.sqlState], ["ER_DUP_ENTRY", 1062, "23000"]);
  const [updated] = await db[run]("UPDATE notes SET n = n + ? WHERE id = ?", [41, id]);
  equal("updated", [updated.affectedRows, updated.changedRows], [1, 1]);
  const large = "0123456789ä".repeat(500000);
  await db[run]("UPDATE notes SET body = ? WHERE id = ?", [large, id]);
  const [[back]] = await db[run]("SELECT n, body FROM notes WHERE id = ?", [id]);
  equal("n", back.n, 42);
  equal("large", back.body === large, true);
  const [many] = await db.query("INSERT INTO notes (title, n) VALUES ?", [Array.from({ length: 1000 }, (_, i) => [`many ${i}`, i])]);
  equal("many", many.affectedRows, 1000);
  let rows = 0;
  const stream = db.pool.query("SELECT * FROM notes WHERE title LIKE 'many %'").stream({ highWaterMark: 5 });
  for await (const row of stream) {
    rows += row.n >= 0 ? 1 : 0;
  }
  equal("streamed", rows, 1000);
  const all = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => db[run]("SELECT ? + 0 AS n", [n])));
  equal("at once", all.map(([[row]]) => Number(row.n)), [1, 2, 3, 4, 5, 6]);
  const [deleted] = await db[run]("DELETE FROM notes WHERE id = ?", [id]);
  equal("deleted", deleted.affectedRows, 1);
}

async function accounts(db) {
  const base = Number(env.DB_BASE);
  const total = async (conn, first) => {
    const [rows] = await conn[run]("SELECT v FROM accounts WHERE id IN (?, ?)", [first, first + 1]);
    return rows.reduce((sum, row) => sum + row.v, 0);
  };
  for (const [i, finish] of ["commit", "rollback"].entries()) {
    const first = base + 2 * i;
    const conn = await db.getConnection();
    await conn.beginTransaction();
    for (const [j, v] of [10, 19].entries()) {
      await conn[run]("INSERT INTO accounts (id, v, owner) VALUES (?, ?, ?)", [first + j, v, "node"]);
    }
    await conn[run]("UPDATE accounts SET v = v + ? WHERE id = ?", [1, first + 1]);
    equal("in transaction", await total(conn, first), 30);
    await conn[finish]();
    conn.release();
    equal("after transaction", await total(db, first), 30 * (1 - i));
  }
}

async function main() {
  const plain = pool(env.DB_PLAIN);
  await kinds(plain);
  await notes(plain);
  await plain.end();
  const sharded = pool(env.DB_SHARDED);
  await accounts(sharded);
  await sharded.end();
  console.log(`ok ${count} checks`);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
