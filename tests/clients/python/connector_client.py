"""mysql-connector-python: "text", "prepared" by the server, or "chosen" for text in the collation that the library chooses by
the version of the server; the pure Python implementation and its pool."""

import sys

import mysql.connector
from mysql.connector import pooling

import checks

pools = {}


def connect(schema):
    if schema not in pools:
        options = {"use_pure": True, **checks.LOGIN}
        if sys.argv[1] != "chosen":
            options["collation"] = "utf8mb4_general_ci"
        pools[schema] = pooling.MySQLConnectionPool(pool_name=schema, pool_size=2, database=schema, **options)
    return pools[schema].get_connection()


prepared = sys.argv[1] == "prepared"
options = {"prepared": True} if prepared else {"buffered": True}
# Its parser of binary rows stumbles over a YEAR and loses the sign of a TIME, on any server.
columns = ", ".join(name for name in [*checks.KINDS, "bits"] if name not in ("y", "span")) if prepared else "*"
checks.dbapi(connect, mysql.connector.IntegrityError, lambda e: (e.errno, e.sqlstate), options, columns)
