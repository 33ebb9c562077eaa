"""Django's ORM over mysqlclient or PyMySQL: its schema editor, introspection, queries and nested transactions."""

import sys

import django
import pymysql
from django.conf import settings

import checks

if sys.argv[1] == "pymysql":
    pymysql.version_info = (2, 2, 1, "final", 0)  # Django asks for a mysqlclient of at least this version
    pymysql.install_as_MySQLdb()


def database(schema):
    login = {k.upper(): v for k, v in checks.LOGIN.items()}
    return {"ENGINE": "django.db.backends.mysql", "NAME": schema, **login, "OPTIONS": {"charset": "utf8mb4"}}


settings.configure(
    DATABASES={"default": database(checks.PLAIN), "sharded": database(checks.SHARDED)},
    USE_TZ=False,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.db import IntegrityError, connection, models, transaction  # noqa: E402


class Author(models.Model):
    name = models.CharField(max_length=100, unique=True)
    facts = models.JSONField(default=dict)

    class Meta:
        app_label = "dj"


class Book(models.Model):
    author = models.ForeignKey(Author, models.CASCADE)
    title = models.TextField()

    class Meta:
        app_label = "dj"


class Account(models.Model):
    id = models.BigIntegerField(primary_key=True)
    v = models.IntegerField()
    owner = models.CharField(max_length=50)

    class Meta:
        app_label = "dj"
        db_table = "accounts"


with connection.schema_editor() as editor:
    for model in (Author, Book):
        editor.create_model(model)
checks.equal("tables", {"dj_author", "dj_book"} <= set(connection.introspection.table_names()), True)

author = Author.objects.create(name=checks.TITLE, facts={"a": [1, "é"]})
Book.objects.bulk_create([Book(author=author, title=t) for t in ("One", "Two")])
author.refresh_from_db()
checks.equal("name", author.name, checks.TITLE)
checks.equal("facts", author.facts, {"a": [1, "é"]})
checks.equal("books", list(author.book_set.order_by("-title").values_list("title", flat=True)), ["Two", "One"])
checks.equal("join", Book.objects.filter(author__name=checks.TITLE).count(), 2)
checks.equal("json", Author.objects.filter(facts__a__0=1).count(), 1)
try:
    with transaction.atomic():
        Author.objects.create(name=checks.TITLE)
    raise SystemExit("a duplicate key went through")
except IntegrityError as e:
    checks.equal("duplicate", e.args[0], 1062)
with transaction.atomic():
    Book.objects.filter(title="One").update(title="Eins")
    try:
        with transaction.atomic():
            Book.objects.all().delete()
            raise ValueError("back to the savepoint")
    except ValueError:
        pass
    checks.equal("locked", Book.objects.select_for_update().filter(author=author).count(), 2)
_, created = Author.objects.update_or_create(name="B", defaults={"facts": {}})
checks.equal("created", created, True)
Book.objects.filter(author__name=checks.TITLE).delete()
author.delete()
checks.equal("left", Book.objects.count(), 0)
with connection.schema_editor() as editor:
    for model in (Book, Author):
        editor.delete_model(model)


def total(first):
    return sum(a.v for a in Account.objects.using("sharded").filter(id__in=[first, first + 1]))


for i in range(2):
    first = checks.BASE + 2 * i
    with transaction.atomic(using="sharded"):
        for j, v in enumerate((10, 19)):
            Account.objects.using("sharded").create(id=first + j, v=v, owner="django")
        Account.objects.using("sharded").filter(id=first + 1).update(v=models.F("v") + 1)
        checks.equal("in transaction", total(first), 30)
        transaction.set_rollback(i == 1, using="sharded")
    checks.equal("after transaction", total(first), 30 * (1 - i))
checks.done()
