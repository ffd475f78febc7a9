"""What was said to QEMU and by it, as JSON lines, with what differs from run to run taken out."""
import json
import threading

NO_TIME = {"seconds": 0, "microseconds": 0}


class Transcript:
    """Any thread. `places` are directories whose names are replaced: {directory: name}."""

    def __init__(self, places):
        self.places, self.lines, self._lock = places, [], threading.Lock()

    def _keep(self, line):
        text = json.dumps(line, separators=(", ", ": "))
        for directory, name in self.places.items():
            text = text.replace(directory, name)
        with self._lock:
            self.lines.append(text)

    def say(self, at, to, message):
        if "timestamp" in message:
            message = message | {"timestamp": NO_TIME}
        self._keep({"at": at, "to": to, "message": message})

    def note(self, at, what):
        """What happened outside of QMP: a cut connection, a process that ended."""
        self._keep({"at": at, "note": what})

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(self.lines) + "\n")
