"""What the programs of the Python libraries share: where to connect, what to expect, and the account of the checks."""

import datetime
import decimal
import os

PLAIN = os.environ["DB_PLAIN"]
SHARDED = os.environ["DB_SHARDED"]
BASE = int(os.environ["DB_BASE"])
LOGIN = {
    "host": os.environ["DB_HOST"],
    "port": int(os.environ["DB_PORT"]),
    "user": os.environ["DB_USER"],
    "password": os.environ["DB_PASSWORD"],
}
LARGE = "0123456789ä" * 500_000
TITLE = "größe 🐬"
BODY = "it's \\ \"quoted\"\n%"

# The row of kinds as Python values; several and doc differ among libraries and are looked at as text.
KINDS = {
    "i8": -128,
    "i16": 32767,
    "i32": -2147483648,
    "i64": 9223372036854775807,
    "u64": 18446744073709551615,
    "d": decimal.Decimal("1234567890.1234"),
    "f": 1.5,
    "r": 0.1,
    "day": datetime.date(2024, 2, 29),
    "moment": datetime.datetime(2024, 2, 29, 23, 59, 58, 123456),
    "span": -datetime.timedelta(hours=12, minutes=34, seconds=56, milliseconds=789),
    "y": 2024,
    "word": "Grüße",
    "words": "naïve 日本 🐬",
    "bin": b"\x00\xff\x80",
    "choice": "green",
    "nothing": None,
}

_count = 0


def equal(what, got, want):
    """Ends the program unless got is want."""
    global _count
    if got != want or type(got) is not type(want):
        raise SystemExit(f"{what}: got {str(got)[:200]!r} ({type(got)}), want {str(want)[:200]!r} ({type(want)})")
    _count += 1


def kinds(row):
    """Looks at the row of kinds, a mapping that may lack columns."""
    for name, want in KINDS.items():
        if name in row:
            equal(name, row[name], want)


def done():
    """Reports the checks."""
    print(f"ok {_count} checks")


def dbapi(connect, duplicate, state_of, cursor_options=None, columns="*"):
    """The whole program for a library with the interface of PEP 249.

    connect(schema) opens a connection; duplicate is the exception of a duplicate key, state_of(exception) its errno and
    SQLSTATE, columns those of kinds to read.
    """
    options = cursor_options or {}
    conn = connect(PLAIN)
    cur = conn.cursor(**options)
    cur.execute(f"SELECT {columns} FROM kinds WHERE id = %s", (1,))
    row = dict(zip([c[0] for c in cur.description], cur.fetchone()))
    kinds(row)
    equal("bits", row["bits"] if isinstance(row["bits"], int) else row["bits"][0], 0xA5)

    cur.execute("INSERT INTO notes (title, body, n) VALUES (%s, %s, %s)", (TITLE, BODY, 1))
    note = cur.lastrowid
    equal("insert id", note > 0, True)
    cur.execute("SELECT title, body FROM notes WHERE id = %s", (note,))
    equal("unicode", tuple(cur.fetchone()), (TITLE, BODY))
    conn.commit()
    try:
        cur.execute("INSERT INTO notes (title) VALUES (%s)", (TITLE,))
        raise SystemExit("a duplicate key went through")
    except duplicate as e:
        equal("duplicate", state_of(e), (1062, "23000"))
    cur.execute("UPDATE notes SET n = n + %s WHERE id = %s", (41, note))
    equal("updated", cur.rowcount, 1)
    cur.execute("UPDATE notes SET body = %s WHERE id = %s", (LARGE, note))
    cur.execute("SELECT n, body FROM notes WHERE id = %s", (note,))
    n, body = cur.fetchone()
    equal("n", n, 42)
    equal("large", body == LARGE, True)
    cur.executemany("INSERT INTO notes (title, n) VALUES (%s, %s)", [(f"many {i}", i) for i in range(100)])
    equal("many", cur.rowcount, 100)
    cur.execute("SELECT COUNT(*), SUM(n) FROM notes WHERE title LIKE %s", ("many %",))
    equal("many", tuple(cur.fetchone()), (100, decimal.Decimal(4950)))
    cur.execute("DELETE FROM notes WHERE id = %s", (note,))
    equal("deleted", cur.rowcount, 1)
    conn.commit()
    conn.close()

    conn = connect(SHARDED)
    cur = conn.cursor(**options)
    for i, finish in enumerate((conn.commit, conn.rollback)):
        first = BASE + 2 * i
        for j, v in enumerate((10, 19)):
            cur.execute("INSERT INTO accounts (id, v, owner) VALUES (%s, %s, %s)", (first + j, v, "python"))
        cur.execute("UPDATE accounts SET v = v + %s WHERE id = %s", (1, first + 1))
        equal("in transaction", _total(cur, first), 30)
        finish()
        equal("after transaction", _total(cur, first), 30 * (1 - i))
        conn.commit()
    conn.close()
    done()


def _total(cur, first):
    cur.execute("SELECT v FROM accounts WHERE id IN (%s, %s)", (first, first + 1))
    return sum(v for (v,) in cur.fetchall())
