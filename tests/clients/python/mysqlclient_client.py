"""mysqlclient, on libmariadb: text protocol only; parameters become literals."""

import MySQLdb

import checks


def connect(schema):
    return MySQLdb.connect(database=schema, charset="utf8mb4", **checks.LOGIN)


def state_of(e):
    # mysqlclient keeps no SQLSTATE; the class of the exception stands for it.
    return e.args[0], "23000"


checks.dbapi(connect, MySQLdb.IntegrityError, state_of)
