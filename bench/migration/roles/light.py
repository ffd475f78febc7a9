"""What an instance does that nobody uses: every five seconds something looks at it and writes that down."""
import os
import subprocess
import time

LOOKS = 0
with open("/dev/console", "w", encoding="ascii") as console, open("/var/log/light", "a", encoding="ascii") as log:
    while True:
        LOOKS += 1
        processes = subprocess.run(["ps", "aux"], stdout=subprocess.PIPE, check=True).stdout
        files = sum(len(names) for _, _, names in os.walk("/etc"))
        print(time.time(), len(processes), files, os.getloadavg(), file=log, flush=True)
        print(f"godwit-load {LOOKS}", file=console, flush=True)
        time.sleep(5)
