"""The example of docs/exactly-once.md for PyMySQL: moves 10 from account DB_BASE to DB_BASE+1."""

import os

import checks

import contextlib
import random
import time

import pymysql

ALREADY_COMMITTED = 20042


def exactly_once(connect, key, work, patience=60):
    """Commits what work(cursor) does exactly once for the key, on connections that connect() opens."""
    end = time.monotonic() + patience
    while True:
        try:
            with contextlib.closing(connect()) as db, db.cursor() as cursor:
                db.begin()
                cursor.execute("SET @@xaproxy_commit_key = %s", (key,))
                work(cursor)
                db.commit()
                return
        except pymysql.MySQLError as e:
            if e.args[0] == ALREADY_COMMITTED:
                return
            if time.monotonic() > end:
                raise
        time.sleep(random.uniform(0.05, 0.2))


def transfer(cursor):
    for account, n in ((checks.BASE, -10), (checks.BASE + 1, 10)):
        cursor.execute("UPDATE accounts SET v = v + %s WHERE id = %s", (n, account))


exactly_once(lambda: pymysql.connect(database=os.environ["DB_SCHEMA"], **checks.LOGIN), os.environ["DB_KEY"], transfer)
