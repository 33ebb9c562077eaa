"""PyMySQL: text protocol only; parameters become literals."""

import pymysql

import checks


def state_of(e):
    # PyMySQL keeps no SQLSTATE; the class of the exception stands for it.
    return e.args[0], "23000"


checks.dbapi(lambda schema: pymysql.connect(database=schema, charset="utf8mb4", **checks.LOGIN), pymysql.err.IntegrityError, state_of)
