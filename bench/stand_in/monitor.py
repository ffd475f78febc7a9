"""QMP: one client at a time, as QEMU has it."""
import json
import socket
import threading
import time

GREETING = {"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "stand-in"}, "capabilities": ["oob"]}}


class Refused(Exception):
    """A command's error, in QEMU's words."""


class Monitor:
    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        self.client, self.writing = None, threading.Lock()

    def send(self, message):
        with self.writing:
            if self.client is None:
                return  # what happens while nobody listens is not told
            try:
                self.client.sendall(json.dumps(message).encode() + b"\n")
            except OSError:
                self.client = None

    def event(self, name, **data):
        now = time.time()
        stamp = {"seconds": int(now), "microseconds": int(now % 1 * 1e6)}
        self.send({"timestamp": stamp, "event": name, **({"data": data} if data else {})})

    def serve(self, execute):
        """Until the process is ended. `execute(command, arguments)` gives the answer, or raises Refused."""
        while True:
            client, _ = self.listener.accept()
            with self.writing:
                self.client = client
            self.send(GREETING)
            try:
                for line in client.makefile("rb"):
                    self.take(json.loads(line), execute)
            except OSError:
                pass
            with self.writing:
                self.client = None
            client.close()

    def take(self, request, execute):
        try:
            reply = {"return": execute(request["execute"], request.get("arguments", {}))}
        except Refused as refused:
            reply = {"error": {"class": "GenericError", "desc": str(refused)}}
        self.send({**reply, "id": request.get("id")})
