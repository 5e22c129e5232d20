#!/usr/bin/env python3
"""fill_store.py FOLDER --finished N --waiting M: multiplies what one finished and one waiting job left in a factory's store.

The factory must not run. Every row of every table that names the job is copied, so the store looks as if the jobs had been run; it takes
a minute for a million of them instead of ten. Prints one JSON document: seconds, bytes, rows.
"""
import argparse
import json
import os
import sqlite3
import time

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("folder")
options.add_argument("--finished", type=int, default=0)
options.add_argument("--waiting", type=int, default=0)
options = options.parse_args()
begin = time.perf_counter()
db = sqlite3.connect(os.path.join(options.folder, "factory.db"), isolation_level=None)
db.execute("pragma journal_mode = off")   # a bench's store: made anew when this is cut short
db.execute("pragma synchronous = off")
db.execute("pragma cache_size = -400000")
db.execute("pragma foreign_keys = off")
NOW = int(time.time() * 1e6)


def columns(table):
    return [row[1] for row in db.execute(f"pragma table_info({table})")]


def copy(table, template, count, changed, where):
    """`count` copies of the template's rows; `changed`: column -> expression, `n` is 1 … count."""
    names = [name for name in columns(table) if changed.get(name) != ""]
    values = [changed.get(name, f"t.{name}") for name in names]
    db.execute(f"with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < {count}) "
               f"insert into {table}({', '.join(names)}) select {', '.join(values)} from numbers cross join {table} t where t.{where} = ?", (template,))


def multiply(job, count, past):
    first = db.execute("select max(id) from jobs").fetchone()[0]
    feed = db.execute("select max(sequence) from feed").fetchone()[0]
    lines = db.execute("select count(*), min(sequence) from feed where job = ?", (job,)).fetchone()
    # In the order of their numbers and of their time, as uids of version 7 are: `past` seconds ago up to now.
    at = f"({NOW} - {past * 1_000_000} + n * {max(1, past * 1_000_000 // count)})"
    millis = f"printf('%012x', {at} / 1000)"
    uid = f"substr({millis}, 1, 8) || '-' || substr({millis}, 9, 4) || '-7' || substr(lower(hex(randomblob(2))), 1, 3) || '-8' || substr(lower(hex(randomblob(2))), 1, 3) || '-' || lower(hex(randomblob(6)))"
    times = {name: f"case when t.{name} is null then null else {at} end" for name in ("created", "assigned", "started", "ended", "closed")}
    here = set(columns("jobs"))
    copy("jobs", job, count, {"id": f"{first} + n", "uid": uid, **{k: v for k, v in times.items() if k in here}}, "id")
    for table in ("inputs", "outcomes", "attempts"):
        copy(table, job, count, {"job": f"{first} + n"}, "job")
    copy("events", job, count, {"id": "", "job": f"{first} + n"}, "job")
    copy("feed", job, count, {"sequence": f"{feed} + (n - 1) * {lines[0]} + t.sequence - {lines[1]} + 1", "job": f"{first} + n", "time": at}, "job")


def template(state):
    found = db.execute(f"select max(id) from jobs where state {state}").fetchone()[0]
    if found is None:
        raise SystemExit(f"{options.folder}: no job with state {state} to copy")
    return found


# The lines of a job follow one another in the feed: those of others between them would be numbers taken twice.
finished, waiting = template("= 4"), template("= 0")
db.execute("begin")
for job in (finished, waiting):
    top = db.execute("select max(sequence) from feed").fetchone()[0]
    for number, (old,) in enumerate(db.execute("select sequence from feed where job = ? order by sequence", (job,)).fetchall()):
        db.execute("update feed set sequence = ? where sequence = ?", (top + 1 + number, old))
if options.finished:
    multiply(finished, options.finished, 80 * 86400)
    db.execute("update totals set count = count + ? where state = 4", (options.finished,))
if options.waiting:
    multiply(waiting, options.waiting, 3600)
db.execute("commit")
db.execute("pragma journal_mode = wal")
print(json.dumps({"seconds": round(time.perf_counter() - begin, 1), "bytes": os.path.getsize(os.path.join(options.folder, "factory.db")),
                  "jobs": db.execute("select count(*) from jobs").fetchone()[0]}))
