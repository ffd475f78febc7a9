"""BLAST searches, one sequence after the other, as a task of demo/guest/blast_search.py does them; half the time, so that how fast
the guest changes depends little on what else the machine does."""
import subprocess
import time

DATA = "/usr/share/godwit/blast"
with open(f"{DATA}/query.fasta", encoding="ascii") as file:
    queries = [">" + each for each in file.read().split(">")[1:]]
searches = 0
with open("/dev/console", "w", encoding="ascii") as console:
    while True:
        began = time.monotonic()
        subprocess.run(["blastp", "-db", f"{DATA}/db", "-num_threads", "1", "-evalue", "1e-5", "-outfmt", "6", "-out", "/tmp/found"],
                       input=queries[searches % len(queries)], text=True, check=True)
        searches += 1
        print(f"godwit-load {searches}", file=console, flush=True)
        time.sleep(time.monotonic() - began)
