"""3 MiB/s of memory written anew, round and round in 64 MiB: half of the pages random bytes, half pages of a file of the image."""
import mmap
import os
import time

PAGE, PAGES, PAGES_A_SECOND = 4096, 64 << 8, 3 << 8
with open("/usr/bin/python3", "rb") as known:
    content = known.read()
known_pages = len(content) // PAGE
memory = mmap.mmap(-1, PAGES * PAGE)  # pages begin where the machine's do
written = 0
with open("/dev/console", "w", encoding="ascii") as console:
    while True:
        began = time.monotonic()
        for _ in range(PAGES_A_SECOND):
            at, of = written % PAGES * PAGE, written // 2 % known_pages * PAGE
            memory[at:at + PAGE] = os.urandom(PAGE) if written % 2 else content[of:of + PAGE]
            written += 1
        print(f"godwit-load {written >> 8}", file=console, flush=True)
        time.sleep(max(0.0, began + 1 - time.monotonic()))
