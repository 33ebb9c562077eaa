"""SQLAlchemy over mysqlclient or PyMySQL, as its dialect says: reflection, the ORM with its unit of work, a pool that pings."""

import datetime
import sys

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.mysql import LONGTEXT

import checks

# What reflection makes of them: a DOUBLE is a Decimal with ten digits, and a TIME a time of the day.
del checks.KINDS["r"], checks.KINDS["span"]


def engine(schema):
    url = sa.URL.create("mysql+" + sys.argv[1], checks.LOGIN["user"], checks.LOGIN["password"], checks.LOGIN["host"], checks.LOGIN["port"], schema)
    return sa.create_engine(url, pool_pre_ping=True, pool_size=2)


class Base(orm.DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "sa_authors"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(100), unique=True)
    born: orm.Mapped[datetime.date | None]
    books: orm.Mapped[list["Book"]] = orm.relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "sa_books"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("sa_authors.id"))
    title: orm.Mapped[str] = orm.mapped_column(LONGTEXT)
    author: orm.Mapped[Author] = orm.relationship(back_populates="books")


class Sharded(orm.DeclarativeBase):
    pass


class Row(Sharded):
    __tablename__ = "accounts"
    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    v: orm.Mapped[int]
    owner: orm.Mapped[str | None] = orm.mapped_column(sa.String(50))


plain = engine(checks.PLAIN)
with plain.connect() as conn:
    table = sa.Table("kinds", sa.MetaData(), autoload_with=conn)
    checks.equal("reflected", str(table.c.d.type), "DECIMAL(20, 4)")
    checks.kinds(conn.execute(sa.select(table).where(table.c.id == 1)).mappings().one())
inspector = sa.inspect(plain)
checks.equal("tables", {"kinds", "notes"} <= set(inspector.get_table_names()), True)
checks.equal("unique", inspector.get_indexes("notes")[0]["unique"], True)

Base.metadata.drop_all(plain)
Base.metadata.create_all(plain)
with orm.Session(plain) as session:
    session.add(Author(name=checks.TITLE, born=datetime.date(1920, 1, 2), books=[Book(title="One"), Book(title=checks.LARGE)]))
    session.commit()
    author = session.scalars(sa.select(Author).where(Author.name == checks.TITLE)).one()
    checks.equal("born", author.born, datetime.date(1920, 1, 2))
    checks.equal("books", [b.title == t for b, t in zip(author.books, ("One", checks.LARGE))], [True, True])
    with session.begin_nested() as savepoint:
        session.add(Author(name="nobody"))
        session.flush()
        savepoint.rollback()
    try:
        session.add(Author(name=checks.TITLE))
        session.commit()
        raise SystemExit("a duplicate key went through")
    except sa.exc.IntegrityError as e:
        checks.equal("duplicate", e.orig.args[0], 1062)
        session.rollback()
    session.delete(author)
    session.commit()
    checks.equal("left", session.scalar(sa.select(sa.func.count()).select_from(Book)), 0)
    checks.equal("left", session.scalar(sa.select(sa.func.count()).select_from(Author)), 0)
Base.metadata.drop_all(plain)


def total(session, first):
    return sum(session.scalars(sa.select(Row.v).where(Row.id.in_([first, first + 1]))))


with orm.Session(engine(checks.SHARDED)) as session:
    for i, finish in enumerate((session.commit, session.rollback)):
        first = checks.BASE + 2 * i
        session.add_all([Row(id=first, v=10, owner="sqlalchemy"), Row(id=first + 1, v=19, owner="sqlalchemy")])
        session.flush()
        session.get(Row, first + 1).v = Row.v + 1
        checks.equal("in transaction", total(session, first), 30)
        finish()
        checks.equal("after transaction", total(session, first), 30 * (1 - i))
checks.done()
