//! mysql_async: "text" puts parameters into the statements, "prepared" prepares them on the server. A pool.

use std::env;
use std::fmt::Debug;

use mysql_async::prelude::{FromValue, Queryable};
use mysql_async::{Error, OptsBuilder, Pool, Result, Row, TxOpts, Value};

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What a statement was answered with.
struct Answer {
    rows: Vec<Row>,
    affected: u64,
    id: Option<u64>,
}

impl Answer {
    /// The column of the first row.
    fn value<T: FromValue>(&self, column: &str) -> T {
        self.rows[0]
            .get(column)
            .unwrap_or_else(|| panic!("no column {column}"))
    }
}

struct Program {
    prepares: bool,
    checks: usize,
}

impl Program {
    fn equal<T: PartialEq + Debug>(&mut self, what: &str, got: T, want: T) {
        if got != want {
            panic!("{what}: got {got:.200?}, want {want:.200?}");
        }
        self.checks += 1;
    }

    async fn run(&self, db: &mut impl Queryable, sql: &str, values: Vec<Value>) -> Result<Answer> {
        if self.prepares {
            let mut result = db.exec_iter(sql, values).await?;
            let (affected, id) = (result.affected_rows(), result.last_insert_id());
            Ok(Answer {
                rows: result.collect().await?,
                affected,
                id,
            })
        } else {
            let mut result = db.query_iter(filled(sql, &values)).await?;
            let (affected, id) = (result.affected_rows(), result.last_insert_id());
            Ok(Answer {
                rows: result.collect().await?,
                affected,
                id,
            })
        }
    }

    async fn kinds(&mut self, db: &mut impl Queryable) -> Result<()> {
        let row = self
            .run(db, "SELECT * FROM kinds WHERE id = ?", vec![1.into()])
            .await?;
        self.equal("i8", row.value("i8"), -128i8);
        self.equal("i16", row.value("i16"), 32767i16);
        self.equal("i32", row.value("i32"), i32::MIN);
        self.equal("i64", row.value("i64"), i64::MAX);
        self.equal("u64", row.value("u64"), u64::MAX);
        self.equal("d", row.value("d"), String::from("1234567890.1234"));
        self.equal("f", row.value("f"), 1.5f32);
        self.equal("r", row.value("r"), 0.1f64);
        self.equal("y", row.value("y"), 2024u16);
        self.equal("word", row.value("word"), String::from("Grüße"));
        self.equal("words", row.value("words"), String::from("naïve 日本 🐬"));
        self.equal("bin", row.value("bin"), vec![0u8, 0xff, 0x80]);
        self.equal("bits", row.value("bits"), vec![0xa5u8]);
        self.equal("choice", row.value("choice"), String::from("green"));
        self.equal("several", row.value("several"), String::from("a,c"));
        self.equal("doc", row.value("doc"), String::from("{\"k\": [1, 2]}"));
        self.equal("nothing", row.value("nothing"), Value::NULL);
        // The value of a prepared statement is in parts; as a literal both are the same.
        for (name, want) in [
            ("day", "'2024-02-29'"),
            ("moment", "'2024-02-29 23:59:58.123456'"),
        ] {
            self.equal(
                name,
                row.value::<Value>(name).as_sql(true),
                String::from(want),
            );
        }
        let span = if self.prepares {
            "'-012:34:56.789000'"
        } else {
            "'-12:34:56.789'"
        };
        self.equal(
            "span",
            row.value::<Value>("span").as_sql(true),
            String::from(span),
        );
        let table = row.rows[0].columns_ref()[1].org_table_str().into_owned();
        self.equal("table of a column", table, String::from("kinds"));
        Ok(())
    }

    async fn notes(&mut self, db: &mut impl Queryable) -> Result<()> {
        let (title, body) = ("größe 🐬", "it's \\ \"quoted\"\n");
        let insert = "INSERT INTO notes (title, body, n) VALUES (?, ?, ?)";
        let id = self
            .run(db, insert, vec![title.into(), body.into(), 1.into()])
            .await?
            .id;
        self.equal("insert id", id > Some(0), true);
        let id = Value::from(id);
        let note = self
            .run(
                db,
                "SELECT title, body FROM notes WHERE id = ?",
                vec![id.clone()],
            )
            .await?;
        self.equal(
            "unicode",
            note.value::<String>("title") + &note.value::<String>("body"),
            format!("{title}{body}"),
        );
        match self
            .run(
                db,
                "INSERT INTO notes (title) VALUES (?)",
                vec![title.into()],
            )
            .await
        {
            Err(Error::Server(e)) => self.equal(
                "duplicate",
                (e.code, e.state),
                (1062, String::from("23000")),
            ),
            other => panic!("a duplicate key: {:?}", other.err()),
        }
        let updated = self
            .run(
                db,
                "UPDATE notes SET n = n + ? WHERE id = ?",
                vec![41.into(), id.clone()],
            )
            .await?;
        self.equal("updated", updated.affected, 1);
        let large = "0123456789ä".repeat(500_000);
        self.run(
            db,
            "UPDATE notes SET body = ? WHERE id = ?",
            vec![large.as_str().into(), id.clone()],
        )
        .await?;
        let note = self
            .run(
                db,
                "SELECT n, body FROM notes WHERE id = ?",
                vec![id.clone()],
            )
            .await?;
        self.equal("n", note.value("n"), 42);
        self.equal("large", note.value::<String>("body") == large, true);

        let many = (0..100).map(|i| (format!("many {i}"), i));
        db.exec_batch("INSERT INTO notes (title, n) VALUES (?, ?)", many)
            .await?;
        let mut rows = db
            .query_iter("SELECT n FROM notes WHERE title LIKE 'many %'")
            .await?;
        let mut sum = 0;
        while let Some(row) = rows.next().await? {
            sum += row.get::<i64, _>(0).expect("n");
        }
        drop(rows);
        self.equal("row by row", sum, 4950);
        let deleted = self
            .run(db, "DELETE FROM notes WHERE id = ?", vec![id])
            .await?;
        self.equal("deleted", deleted.affected, 1);
        Ok(())
    }

    async fn total(&self, db: &mut impl Queryable, first: i64) -> Result<i64> {
        let found = self
            .run(
                db,
                "SELECT v FROM accounts WHERE id IN (?, ?)",
                vec![first.into(), (first + 1).into()],
            )
            .await?;
        Ok(found
            .rows
            .iter()
            .map(|row| row.get::<i64, _>(0).expect("v"))
            .sum())
    }

    async fn accounts(&mut self, pool: &Pool) -> Result<()> {
        let base: i64 = variable("DB_BASE").parse().expect("DB_BASE");
        for (i, commits) in [(0, true), (1, false)] {
            let first = base + 2 * i;
            let mut tx = pool.start_transaction(TxOpts::default()).await?;
            for (id, v) in [(first, 10), (first + 1, 19)] {
                let values = vec![id.into(), v.into(), "rust".into()];
                self.run(
                    &mut tx,
                    "INSERT INTO accounts (id, v, owner) VALUES (?, ?, ?)",
                    values,
                )
                .await?;
            }
            self.run(
                &mut tx,
                "UPDATE accounts SET v = v + ? WHERE id = ?",
                vec![1.into(), (first + 1).into()],
            )
            .await?;
            let inside = self.total(&mut tx, first).await?;
            self.equal("in transaction", inside, 30);
            if commits {
                tx.commit().await?
            } else {
                tx.rollback().await?
            }
            let after = self.total(&mut pool.get_conn().await?, first).await?;
            self.equal("after transaction", after, 30 * (1 - i));
        }
        Ok(())
    }
}

/// The statement with its parameters as literals.
fn filled(sql: &str, values: &[Value]) -> String {
    let mut parts = sql.split('?');
    let mut text = String::from(parts.next().unwrap_or_default());
    for (value, part) in values.iter().zip(parts) {
        text += &value.as_sql(false);
        text += part;
    }
    text
}

fn pool(schema: &str) -> Pool {
    let port = variable("DB_PORT").parse().expect("DB_PORT");
    Pool::new(
        OptsBuilder::default()
            .ip_or_hostname(variable("DB_HOST"))
            .tcp_port(port)
            .user(Some(variable("DB_USER")))
            .pass(Some(variable("DB_PASSWORD")))
            .db_name(Some(variable(schema))),
    )
}

async fn main_async() -> Result<()> {
    let mut program = Program {
        prepares: env::args().nth(1).as_deref() == Some("prepared"),
        checks: 0,
    };
    let plain = pool("DB_PLAIN");
    let mut db = plain.get_conn().await?;
    program.kinds(&mut db).await?;
    program.notes(&mut db).await?;
    drop(db);
    plain.disconnect().await?;
    let sharded = pool("DB_SHARDED");
    program.accounts(&sharded).await?;
    sharded.disconnect().await?;
    println!("ok {} checks", program.checks);
    Ok(())
}

fn main() -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(main_async())
}
