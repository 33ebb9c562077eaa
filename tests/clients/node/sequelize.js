// Sequelize on mysql2: it makes tables of its own, writes to them and changes them, and writes over two servers.
"use strict";
const { Sequelize, DataTypes, Op, UniqueConstraintError } = require("sequelize");
const env = process.env;

let count = 0;
function equal(what, got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    throw new Error(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
  }
  count++;
}

function open(database) {
  return new Sequelize(database, env.DB_USER, env.DB_PASSWORD, {
    host: env.DB_HOST, port: Number(env.DB_PORT), dialect: "mysql", logging: false, define: { timestamps: false },
  });
}

async function library(db) {
  const Author = db.define("author", {
    name: { type: DataTypes.STRING(100), unique: "author_name", allowNull: false }, born: DataTypes.DATE(3), rating: DataTypes.DECIMAL(6, 2),
    alive: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: true },
  });
  const Book = db.define("book", {
    title: { type: DataTypes.STRING, allowNull: false }, text: DataTypes.TEXT("long"), extra: DataTypes.JSON, kind: DataTypes.ENUM("novel", "essay"),
  }, { indexes: [{ fields: ["title"] }], timestamps: true });
  Author.hasMany(Book, { onDelete: "CASCADE" });
  Book.belongsTo(Author);
  await db.drop();
  await db.sync();
  await db.sync(); // all is there
  equal("tables", (await db.getQueryInterface().showAllTables()).map((t) => t.tableName ?? t).filter((t) => /^(author|book)s$/.test(t)).sort(), ["authors", "books"]);
  const columns = await db.getQueryInterface().describeTable("authors");
  equal("columns", Object.keys(columns), ["id", "name", "born", "rating", "alive"]);
  equal("key", [columns.id.primaryKey, columns.id.autoIncrement, columns.name.allowNull], [true, true, false]);
  const indexes = await db.getQueryInterface().showIndex("books");
  equal("indexes", indexes.map((i) => i.name).filter((n) => n === "PRIMARY" || n === "books_title").sort(), ["PRIMARY", "books_title"]);

  const born = new Date("1920-01-02T03:04:05.678Z");
  const author = await Author.create({ name: "Ásimov 🚀", born, rating: "9.75", books: [{ title: "One", extra: { pages: [1, 2] }, kind: "novel" }, { title: "Two" }] }, { include: Book });
  const [one, two] = author.books; // they are written at once, on two connections
  equal("ids", [author.id > 0, one.id > 0, two.id > 0, one.id !== two.id], [true, true, true, true]);
  const read = await Author.findOne({ where: { name: "Ásimov 🚀" }, include: Book, order: [[Book, "title", "ASC"]] });
  equal("born", read.born, born);
  equal("rating", [read.rating, read.alive], ["9.75", true]);
  equal("books", read.books.map((b) => [b.title, b.kind]), [["One", "novel"], ["Two", null]]);
  equal("json", typeof read.books[0].extra === "string" ? JSON.parse(read.books[0].extra) : read.books[0].extra, { pages: [1, 2] });
  equal("duplicate", await Author.create({ name: "Ásimov 🚀" }).catch((e) => e instanceof UniqueConstraintError), true);
  await Author.upsert({ id: author.id, name: "Isaac" });
  equal("upserted", (await Author.findByPk(author.id)).name, "Isaac");
  await Book.bulkCreate(Array.from({ length: 50 }, (_, i) => ({ title: `many ${i}`, authorId: author.id })));
  equal("counted", await Book.count({ where: { title: { [Op.like]: "many%" } } }), 50);
  const page = await Book.findAndCountAll({ where: { authorId: author.id, title: { [Op.ne]: "One" } }, order: [["id", "DESC"]], limit: 3, offset: 1 });
  equal("page", [page.count, page.rows.map((b) => b.title)], [51, ["many 48", "many 47", "many 46"]]);
  const [changed] = await Book.update({ kind: "essay" }, { where: { title: { [Op.startsWith]: "many 1" } } });
  equal("changed", changed, 11);
  await author.increment("rating", { by: 1 });
  const grouped = await Book.findAll({ attributes: ["kind", [db.fn("COUNT", db.col("id")), "n"]], group: ["kind"], order: [["kind", "ASC"]], raw: true });
  equal("groups", grouped.map((g) => [g.kind, Number(g.n)]), [[null, 40], ["novel", 1], ["essay", 11]]);
  const large = "0123456789ä".repeat(100000);
  await author.books[0].update({ text: large });
  equal("large", (await Book.findByPk(author.books[0].id)).text === large, true);

  const failed = await db.transaction(async (tx) => {
    await Book.destroy({ where: { authorId: author.id }, transaction: tx });
    throw new Error("undone");
  }).catch((e) => e.message);
  equal("undone", [failed, await Book.count()], ["undone", 52]);
  await db.transaction(async (tx) => {
    const locked = await Author.findByPk(author.id, { lock: tx.LOCK.UPDATE, transaction: tx });
    await locked.destroy({ transaction: tx });
  });
  equal("cascade", await Book.count(), 0);

  await db.getQueryInterface().addColumn("authors", "city", { type: DataTypes.STRING(40), allowNull: true });
  await db.getQueryInterface().addIndex("authors", ["city"], { name: "authors_city" });
  equal("added", "city" in await db.getQueryInterface().describeTable("authors"), true);
  await db.getQueryInterface().removeIndex("authors", "authors_city");
  await db.getQueryInterface().removeColumn("authors", "city");
  equal("removed", "city" in await db.getQueryInterface().describeTable("authors"), false);
}

async function accounts(db) {
  const Account = db.define("account", { id: { type: DataTypes.BIGINT, primaryKey: true }, v: DataTypes.INTEGER, owner: DataTypes.STRING(50) });
  const base = Number(env.DB_BASE);
  const sum = async (first, transaction) => (await Account.findAll({ where: { id: [first, first + 1] }, transaction })).reduce((n, a) => n + a.v, 0);
  for (const [i, outcome] of [null, "wrong"].entries()) {
    const first = base + 2 * i;
    const ended = await db.transaction(async (transaction) => {
      await Account.bulkCreate([{ id: first, v: 10, owner: "sequelize" }, { id: first + 1, v: 19, owner: "sequelize" }], { transaction });
      await Account.increment("v", { by: 1, where: { id: first + 1 }, transaction });
      equal("in transaction", await sum(first, transaction), 30);
      if (outcome) {
        throw new Error(outcome);
      }
      return null;
    }).catch((e) => e.message);
    equal("outcome", ended, outcome);
    equal("after transaction", await sum(first), outcome ? 0 : 30);
  }
}

(async () => {
  const plain = open(env.DB_PLAIN);
  await library(plain);
  await plain.close();
  const sharded = open(env.DB_SHARDED);
  await accounts(sharded);
  await sharded.close();
  console.log(`ok ${count} checks`);
})().catch((e) => {
  console.error(e.sql ?? "", e);
  process.exit(1);
});
