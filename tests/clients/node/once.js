// The example of docs/exactly-once.md for mysql2: moves 10 from account DB_BASE to DB_BASE+1.
"use strict";
const mysql = require("mysql2/promise");
const { setTimeout } = require("node:timers/promises");

const ALREADY_COMMITTED = 20042;

// Commits what work(db) does exactly once for the key, on connections that connect() opens.
async function exactlyOnce(connect, key, work, patience = 60_000) {
  const end = Date.now() + patience;
  for (;;) {
    let db;
    try {
      db = await connect();
      db.on("error", () => {}); // a connection that breaks between two statements; the next one says so
      await db.beginTransaction();
      await db.query("SET @@xaproxy_commit_key = ?", [key]);
      await work(db);
      await db.commit();
      return;
    } catch (e) {
      if (e.errno === ALREADY_COMMITTED) return;
      if (Date.now() > end) throw e;
    } finally {
      db?.destroy();
    }
    await setTimeout(50 + Math.random() * 150);
  }
}

const env = process.env;
const base = Number(env.DB_BASE);

function connect() {
  return mysql.createConnection({
    host: env.DB_HOST, port: Number(env.DB_PORT), user: env.DB_USER, password: env.DB_PASSWORD, database: env.DB_SCHEMA,
  });
}

async function transfer(db) {
  for (const [account, n] of [[base, -10], [base + 1, 10]]) {
    await db.query("UPDATE accounts SET v = v + ? WHERE id = ?", [n, account]);
  }
}

exactlyOnce(connect, env.DB_KEY, transfer).catch((e) => {
  console.error(e);
  process.exit(1);
});
