"""A QMP client that keeps every event, and a transcript of what was said. Protocol: QEMU's docs/interop/qmp-spec."""
import json
import socket
import threading
import time

from .patience import PATIENCE_S


class QmpError(Exception):
    """An answer {"error": …}."""

    def __init__(self, command, error):
        super().__init__(f"{command}: {error['desc']} ({error['class']})")
        self.desc = error["desc"]


class QmpClosed(Exception):
    """QEMU has closed the connection, most likely because it is gone."""


class Qmp:
    """One connection. A thread of its own reads, so that events have the time and order in which they arrived."""

    def __init__(self, path, name, transcript=None, limit_s=PATIENCE_S):
        self.name, self.transcript = name, transcript
        self._events, self._replies, self._seen = [], {}, []
        self._closed, self._next = False, 0
        self._changed = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(limit_s)
        self._socket.connect(path)
        self._socket.settimeout(None)
        self.greeting = None
        threading.Thread(target=self._read, daemon=True).start()
        self._until(lambda: self.greeting, limit_s, "the greeting")
        self.call("qmp_capabilities")

    def _note(self, to, message):
        if self.transcript is not None:
            self.transcript.say(self.name, to, message)

    def _read(self):
        try:
            for line in self._socket.makefile("r", encoding="utf-8"):
                message = json.loads(line)
                self._note("agent", message)
                with self._changed:
                    if "event" in message:
                        message["arrived_s"] = time.monotonic()
                        self._events.append(message)
                        self._seen.append(message)
                    elif "QMP" in message:
                        self.greeting = message["QMP"]
                    else:
                        self._replies[message.get("id")] = message
                    self._changed.notify_all()
        except OSError:
            pass
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _until(self, ready, limit_s, what):
        with self._changed:
            if not self._changed.wait_for(lambda: ready() or self._closed, limit_s):
                raise TimeoutError(f"{self.name}: no {what} within {limit_s} s; seen: {self.seen()}")
            if not ready():
                raise QmpClosed(f"{self.name}: closed while waiting for {what}; seen: {self.seen()}")

    def send(self, command, **arguments):
        """Sends without waiting; returns the id for `answer`."""
        self._next += 1
        message = {"execute": command, "id": self._next}
        if arguments:
            message["arguments"] = arguments
        self._note("qemu", message)
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise QmpClosed(f"{self.name}: {command}: {error}") from error
        return self._next

    def answer(self, number, command, limit_s=PATIENCE_S):
        self._until(lambda: number in self._replies, limit_s, f"answer to {command}")
        reply = self._replies.pop(number)
        if "error" in reply:
            raise QmpError(command, reply["error"])
        return reply["return"]

    def call(self, command, **arguments):
        return self.answer(self.send(command, **arguments), command)

    def wait(self, event, limit_s=PATIENCE_S, **data):
        """The first event of this name and with this data (or one of several) that was not waited for yet. Others stay."""

        def fits(candidate, key, wanted):
            got = candidate.get("data", {}).get(key)
            return got in wanted if isinstance(wanted, tuple) else got == wanted

        def found():
            for candidate in self._events:
                if candidate["event"] == event and all(fits(candidate, k, v) for k, v in data.items()):
                    return candidate
            return None

        self._until(found, limit_s, f"event {event} {data or ''}")
        with self._changed:
            event = found()
            self._events.remove(event)
            return event

    def wait_closed(self, limit_s=PATIENCE_S):
        self._until(lambda: self._closed, limit_s, "end of the connection")

    def seen(self):
        """All events so far, in order, as short texts."""
        return [f"{e['event']} {e['data'].get('status', '')}".strip() if "data" in e else e["event"] for e in self._seen]

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
