#!/usr/bin/env python3
"""A BLAST search spread over the members of a cluster. Runs on one member, the head; Python's standard library alone.

    blast_search.py [options] MEMBER…

The head splits the queries into tasks and hands them out, one at a time, over one ssh session to each member (by its DNS
name) that lasts for the whole search; so a member that migrates keeps its session, and its task. The result does not
depend on who did what: each task is one blastp with one thread, and its lines are written in the order of the tasks.
Progress is written to standard output as lines of JSON:

    {"event": "start", "tasks": 30, "queries": 60, "members": ["alpha", "beta"]}
    {"event": "task", "task": 0, "member": "alpha", "seconds": 4.2, "hits": 17, "done": 1, "tasks": 30}
    {"event": "lost", "member": "beta", "task": 3, "why": "…"}       its task goes to another member
    {"event": "end", "tasks": 30, "hits": 512, "sha256": "…", "seconds": 97.0, "lost": 0, "by_member": {"alpha": 16, …}}

Exit status: 0 the result is whole; 1 no member is left to do the rest.
"""
import argparse
import contextlib
import hashlib
import json
import queue
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

DATA = "/usr/share/godwit/blast"

# What a member runs: it needs nothing but this text. A task a line, {"task", "fasta"}; an answer a line, {"task", "lines"}.
WORKER = """
import json, subprocess, sys
command = sys.argv[1:]
for line in sys.stdin:
    task = json.loads(line)
    done = subprocess.run(command, input=task["fasta"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    print(json.dumps({"task": task["task"], "lines": sorted(done.stdout.splitlines())}), flush=True)
"""


def arguments():
    parser = argparse.ArgumentParser(description="A BLAST search spread over the members of a cluster.")
    parser.add_argument("members", nargs="+", metavar="MEMBER", help="DNS name of a member")
    parser.add_argument("--queries", type=int, default=96, help="how many of the query sequences to search for (%(default)s)")
    parser.add_argument("--per-task", type=int, default=2, help="queries in a task (%(default)s)")
    parser.add_argument("--query-file", type=Path, default=Path(DATA, "query.fasta"), help="%(default)s")
    parser.add_argument("--database", default=DATA + "/db", help="%(default)s")
    parser.add_argument("--blastp", default="blastp", help="the program to run on a member (%(default)s)")
    parser.add_argument("--result", type=Path, default=Path("result.tsv"), help="where the table goes (%(default)s)")
    parser.add_argument("--shell", default="ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new {member}",
                        help="how to run a command on a member (%(default)s)")
    return parser.parse_args()


def tasks_of(path, queries, per_task):
    """The first `queries` sequences, in tasks of `per_task`: a list of FASTA texts."""
    records = path.read_text(encoding="ascii").split(">")[1:][:queries]
    return ["".join(">" + record for record in records[at:at + per_task]) for at in range(0, len(records), per_task)]


class Search:
    """The tasks, who does them, and what came back."""

    def __init__(self, options):
        self.options = options
        self.tasks = tasks_of(options.query_file, options.queries, options.per_task)
        self.waiting = queue.SimpleQueue()
        for number in range(len(self.tasks)):
            self.waiting.put(number)
        self.results = {}
        self.by_member = dict.fromkeys(options.members, 0)
        self.lost = 0
        self.changed = threading.Condition()

    def run(self):
        started = time.monotonic()
        report(event="start", tasks=len(self.tasks), queries=sum(task.count(">") for task in self.tasks),
               members=self.options.members)
        crew = [threading.Thread(target=self.employ, args=(member,)) for member in self.options.members]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        if len(self.results) < len(self.tasks):
            return 1
        self.write_result(time.monotonic() - started)
        return 0

    def employ(self, member):
        """Gives `member` task after task, until there are none or it is lost."""
        words = [*shlex.split(self.options.shell.format(member=member)), shlex.join([
            "python3", "-u", "-c", WORKER, self.options.blastp, "-db", self.options.database, "-num_threads", "1",
            "-evalue", "1e-5", "-outfmt", "6"])]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
            number = None
            try:
                while (number := self.next_task()) is not None:
                    self.do(number, member, worker)
                worker.stdin.close()
            except (OSError, ValueError) as error:
                worker.kill()
                with contextlib.suppress(OSError):  # what is left in its buffer can't be sent either
                    worker.stdin.close()
                self.lose(member, number, worker.stderr.read().strip() or str(error))

    def next_task(self):
        """Waits while all tasks are out, since one may come back; None when all are done."""
        with self.changed:
            while len(self.results) < len(self.tasks):
                try:
                    return self.waiting.get_nowait()
                except queue.Empty:
                    self.changed.wait()
        return None

    def do(self, number, member, worker):
        started = time.monotonic()
        print(json.dumps({"task": number, "fasta": self.tasks[number]}), file=worker.stdin, flush=True)
        answer = json.loads(worker.stdout.readline())  # ValueError at the end of the stream
        if answer["task"] != number:
            raise ValueError(f"answered task {answer['task']}, asked for {number}")
        with self.changed:
            self.results[number] = answer["lines"]
            self.by_member[member] += 1
            self.changed.notify_all()
            report(event="task", task=number, member=member, seconds=round(time.monotonic() - started, 3),
                   hits=len(answer["lines"]), done=len(self.results), tasks=len(self.tasks))

    def lose(self, member, number, why):
        with self.changed:
            self.lost += 1
            self.waiting.put(number)
            self.changed.notify_all()
            report(event="lost", member=member, task=number, why=why[-500:])

    def write_result(self, seconds):
        table = "".join(line + "\n" for number in sorted(self.results) for line in self.results[number])
        self.options.result.write_text(table, encoding="ascii")
        report(event="end", tasks=len(self.tasks), hits=table.count("\n"), sha256=hashlib.sha256(table.encode()).hexdigest(),
               seconds=round(seconds, 3), lost=self.lost, by_member=self.by_member)


def report(**event):
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(Search(arguments()).run())
