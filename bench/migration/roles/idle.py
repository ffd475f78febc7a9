"""Nothing but a sign of life a second."""
import time

BEATS = 0
with open("/dev/console", "w", encoding="ascii") as console:
    while True:
        BEATS += 1
        print(f"godwit-load {BEATS}", file=console, flush=True)
        time.sleep(1)
