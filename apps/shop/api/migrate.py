"""Brings the database's tables to what this version of the API wants; run as often as one likes, by two at once too.

MIGRATIONS only ever grows: what has been done is noted in a table and not done again.
"""

from __future__ import annotations

import sys

from store import connected

MIGRATIONS = (
    """CREATE TABLE products (
        id INT PRIMARY KEY AUTO_INCREMENT,
        name VARCHAR(80) NOT NULL UNIQUE,
        what VARCHAR(200) NOT NULL,
        price INT NOT NULL CHECK (price >= 0),
        stock INT NOT NULL CHECK (stock >= 0)
    )""",
    """CREATE TABLE orders (
        id INT PRIMARY KEY AUTO_INCREMENT,
        product INT NOT NULL REFERENCES products (id),
        quantity INT NOT NULL CHECK (quantity > 0),
        at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
    )""",
    """INSERT INTO products (name, what, price, stock) VALUES
        ('Teapot', 'Stoneware, holds four cups and does not drip', 3400, 12),
        ('Wool blanket', 'From one flock, in two greys', 8900, 5),
        ('Pencil', 'Cedar, soft, sharpened by hand', 150, 200),
        ('Kite', 'Flies in a light breeze', 2650, 7),
        ('Last umbrella', 'There is one. It is green', 1900, 1)""",
)


def main() -> int:
    with connected(patience=60) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('shop.migrate', 60) AS taken")
        if not cursor.fetchone()["taken"]:
            print("migrate: another one has been at it for a minute", file=sys.stderr)
            return 1
        cursor.execute("CREATE TABLE IF NOT EXISTS migrations (number INT PRIMARY KEY)")
        cursor.execute("SELECT COALESCE(MAX(number), 0) AS done FROM migrations")
        done = cursor.fetchone()["done"]
        for number, statement in list(enumerate(MIGRATIONS, 1))[done:]:
            cursor.execute(statement)
            cursor.execute("INSERT INTO migrations VALUES (%s)", (number,))
            connection.commit()
        print(f"migrate: {len(MIGRATIONS) - done} of {len(MIGRATIONS)} steps done now", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
