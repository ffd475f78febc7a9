"""NBD between two stand-ins (the protocol is NBD's doc/proto.md, fixed newstyle): a mirror that writes, an export that forgets."""
import os
import socket
import struct
import threading

OVERLAY_BYTES = 64 * 2**20  # what a guest has written
PART_BYTES, IN_FLIGHT = 2**20, 16  # as QEMU's mirror
OPTION_MAGIC, REPLY_MAGIC = b"IHAVEOPT", 0x3E889045565A9
REQUEST, ANSWER = struct.Struct(">IHHQQI"), struct.Struct(">IIQ")
REQUEST_MAGIC, ANSWER_MAGIC = 0x25609513, 0x67446698
WRITE, FLUSH, GO = 1, 3, 7
INFO, ACKNOWLEDGED = 3, 1
EXPORT_FLAGS = 1 | 4  # flags are there, flushes are understood


def read_exactly(end, size):
    data = bytearray()
    while len(data) < size:
        part = end.recv(size - len(data))
        if not part:
            raise OSError("Unexpected end-of-file")
        data += part
    return bytes(data)


class Mirror:
    """The job at the source."""

    def __init__(self, monitor, path, export):
        self.monitor, self.id = monitor, "mirror"
        self.status, self.error, self.done_bytes = "created", "", 0
        self.cancelled, self.room = threading.Event(), threading.Semaphore(IN_FLIGHT)
        self.end = socket.socket(socket.AF_UNIX)
        self.end.connect(path)
        self.negotiate(export.encode())

    def negotiate(self, export):
        read_exactly(self.end, 18)
        wish = struct.pack(">I", len(export)) + export + struct.pack(">H", 0)
        self.end.sendall(struct.pack(">I", 3) + OPTION_MAGIC + struct.pack(">II", GO, len(wish)) + wish)
        kind = INFO
        while kind != ACKNOWLEDGED:
            _, _, kind, size = struct.unpack(">QIII", read_exactly(self.end, 20))
            read_exactly(self.end, size)

    def start(self, name):
        self.id = name
        self.become("created")
        self.become("running")
        threading.Thread(target=self.run, daemon=True).start()

    def become(self, status):
        self.status = status
        self.monitor.event("JOB_STATUS_CHANGE", status=status, id=self.id)

    def run(self):
        try:
            threading.Thread(target=self.take_answers, daemon=True).start()
            part = os.urandom(PART_BYTES)
            for offset in range(0, OVERLAY_BYTES, PART_BYTES):
                if not self.cancelled.is_set():
                    self.ask(WRITE, offset, part)
            self.drain()
            self.become("ready")
            self.monitor.event("BLOCK_JOB_READY", **self.progress())
            self.cancelled.wait()
            self.ask(FLUSH, 0, b"")
            self.drain()
            self.become("waiting")
            self.become("pending")
        except OSError:
            self.error = "Input/output error"
            self.become("aborting")
        self.monitor.event("BLOCK_JOB_COMPLETED", **self.progress(), **({"error": self.error} if self.error else {}))
        self.become("concluded")

    def ask(self, operation, offset, data):
        self.room.acquire()
        if self.error:
            raise OSError(self.error)
        self.end.sendall(REQUEST.pack(REQUEST_MAGIC, 0, operation, offset, offset, len(data)) + data)
        self.done_bytes += len(data)

    def drain(self):
        for _ in range(IN_FLIGHT):
            self.room.acquire()
        self.room.release(IN_FLIGHT)
        if self.error:
            raise OSError(self.error)

    def take_answers(self):
        try:
            while True:
                magic, error, _ = ANSWER.unpack(read_exactly(self.end, ANSWER.size))
                if magic != ANSWER_MAGIC or error:
                    raise OSError("a write was refused")
                self.room.release()
        except OSError as error:
            self.error = str(error)
            self.room.release(IN_FLIGHT)

    def cancel(self, force):
        self.cancelled.set()
        if force:
            self.close()
        return {}

    def close(self):
        self.end.close()

    def progress(self):
        return {"device": self.id, "len": OVERLAY_BYTES, "offset": self.done_bytes, "speed": 0, "type": "mirror"}

    def job(self):
        told = {"id": self.id, "type": "mirror", "status": self.status, "current-progress": self.done_bytes,
                "total-progress": OVERLAY_BYTES}
        return {**told, "error": self.error} if self.error else told

    def block_job(self):
        return {**self.progress(), "status": self.status, "ready": self.status == "ready", "busy": False, "paused": False,
                "io-status": "ok", "auto-finalize": True, "auto-dismiss": False}


class Export:
    """The server at the destination: one client, whose writes it takes and forgets."""

    def __init__(self, path):
        self.name, self.listener = b"", socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        threading.Thread(target=self.serve, daemon=True).start()

    def name_it(self, name):
        self.name = name.encode()
        return {}

    def stop(self):
        self.listener.close()
        return {}

    def serve(self):
        try:
            client, _ = self.listener.accept()
            self.negotiate(client)
            while True:
                magic, _, operation, cookie, _, size = REQUEST.unpack(read_exactly(client, REQUEST.size))
                if magic != REQUEST_MAGIC or size > PART_BYTES:
                    raise OSError("not a request of a mirror")
                if operation == WRITE:
                    read_exactly(client, size)
                client.sendall(ANSWER.pack(ANSWER_MAGIC, 0, cookie))
        except OSError:
            pass  # the client is gone, or the server was stopped

    def negotiate(self, client):
        client.sendall(b"NBDMAGIC" + OPTION_MAGIC + struct.pack(">H", 3))
        read_exactly(client, 4)
        magic, option, size = struct.unpack(">8sII", read_exactly(client, 16))
        wish = read_exactly(client, size)
        if magic != OPTION_MAGIC or option != GO or wish[4:-2] != self.name:
            raise OSError("Requested export not available")
        about = struct.pack(">HQH", 0, OVERLAY_BYTES, EXPORT_FLAGS)
        client.sendall(struct.pack(">QIII", REPLY_MAGIC, GO, INFO, len(about)) + about)
        client.sendall(struct.pack(">QIII", REPLY_MAGIC, GO, ACKNOWLEDGED, 0))
