"""The shop's database: what there is, what was ordered, and an order, which takes from the stock or is refused.

A connection a request: it is cheap here, and one that the database's restart broke is nobody's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pymysql.cursors

Trouble = pymysql.err.MySQLError


class Refused(Exception):
    """An order that cannot be taken: the reason, for the customer."""


@contextmanager
def connected(patience: float = 0) -> Iterator[Any]:
    """A connection whose work is kept if it ends well. `patience`: seconds to wait for a database that starts."""
    deadline = time.monotonic() + patience
    while True:
        try:
            made = pymysql.connect(
                host=os.environ.get("DB_HOST", "127.0.0.1"),
                port=int(os.environ.get("DB_PORT", "3307")),
                user="shop",
                password=os.environ.get("DB_PASSWORD", ""),
                database="shop",
                charset="utf8mb4",
                connect_timeout=3,
                read_timeout=10,
                cursorclass=pymysql.cursors.DictCursor,
            )
            break
        except pymysql.err.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
    try:
        yield made
        made.commit()
    finally:
        made.close()


def rows(query: str, *values: object) -> list[dict[str, Any]]:
    with connected() as connection, connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def products() -> list[dict[str, Any]]:
    return rows("SELECT id, name, what, price, stock FROM products ORDER BY id")


def orders(limit: int) -> list[dict[str, Any]]:
    """Newest first."""
    query = (
        "SELECT o.id, p.name AS product, o.quantity, DATE_FORMAT(o.at, '%%Y-%%m-%%d %%H:%%i:%%s UTC') AS at"
        " FROM orders o JOIN products p ON p.id = o.product ORDER BY o.id DESC LIMIT %s"
    )
    return rows(query, limit)


def order(product: int, quantity: int) -> dict[str, int]:
    """Takes from the stock and writes the order, both or neither; two customers cannot have the last one."""
    with connected() as connection, connection.cursor() as cursor:
        taken = cursor.execute(
            "UPDATE products SET stock = stock - %s WHERE id = %s AND stock >= %s", (quantity, product, quantity)
        )
        cursor.execute("SELECT name, stock FROM products WHERE id = %s", (product,))
        found = cursor.fetchone()
        if found is None:
            raise Refused("there is no such product")
        if not taken:
            raise Refused(f"only {found['stock']} of {found['name']} left" if found["stock"] else "sold out")
        cursor.execute("INSERT INTO orders (product, quantity) VALUES (%s, %s)", (product, quantity))
        return {"order": cursor.lastrowid, "left": found["stock"]}


def about() -> str:
    (found,) = rows("SELECT VERSION() AS version")
    return f"MariaDB {str(found['version']).split('-')[0]}"
