"""A database that is written to: five transactions a second, each of ten rows anywhere in a table of 50,000 (12 MB)."""
import os
import random
import sqlite3
import time

ROWS, ROWS_A_TRANSACTION, PAUSE_S = 50_000, 10, 0.2


def text():
    return os.urandom(100).hex()


base = sqlite3.connect("/var/lib/load.db")
base.execute("create table t (a integer primary key, b text)")
base.executemany("insert into t values (?, ?)", ((number, text()) for number in range(ROWS)))
base.commit()
transactions = 0
with open("/dev/console", "w", encoding="ascii") as console:
    while True:
        began = time.monotonic()
        changed = [(text(), random.randrange(ROWS)) for _ in range(ROWS_A_TRANSACTION)]
        base.executemany("update t set b = ? where a = ?", changed)
        base.commit()
        transactions += 1
        if transactions % 5 == 0:
            print(f"godwit-load {transactions}", file=console, flush=True)
        time.sleep(max(0.0, began + PAUSE_S - time.monotonic()))
