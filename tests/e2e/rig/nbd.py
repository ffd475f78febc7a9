"""What an NBD server says, as it passes. Format: the NBD project's doc/proto.md."""
import struct

STRUCTURED_REPLY, GO = 8, 7  # options
ACK = 1
OPTION_REPLY_MAGIC, SIMPLE_MAGIC, CHUNK_MAGIC = 0x3E889045565A9, 0x67446698, 0x668E33EF
CHUNKS = {0: "none", 1: "data", 2: "hole", 5: "status", 0x8001: "error", 0x8002: "error"}
GREETING_BYTES = 18


class Replies:
    """Counts the replies of one connection in `seen`, a collections.Counter. What is not understood is "other", and nothing is looked at behind
    it; so with reads that are answered without structure."""

    def __init__(self, seen):
        self.seen, self._bytes, self._state = seen, b"", "greeting"

    def __call__(self, data):
        self._bytes += data
        while self._take(getattr(self, f"_{self._state}")()):
            pass

    def _take(self, size):
        if size is None or len(self._bytes) < size:
            return False
        if self._state == "lost":
            self.seen["other"] += 1
            return False
        if self._state == "greeting":
            self._state = "option"
        elif self._state == "option":
            self._answered(*struct.unpack(">II", self._bytes[8:16]))
        else:
            self._replied(struct.unpack(">I", self._bytes[:4])[0])
        self._bytes = self._bytes[size:]
        return True

    def _greeting(self):
        return GREETING_BYTES

    def _option(self):
        if len(self._bytes) < 20:
            return None
        magic, _, _, length = struct.unpack(">QIII", self._bytes[:20])
        return self._if_is(OPTION_REPLY_MAGIC, magic, 20 + length)

    def _answered(self, option, kind):
        if kind == ACK and option == STRUCTURED_REPLY:
            self.seen["structured"] += 1
        if kind == ACK and option == GO:
            self._state = "reply"

    def _reply(self):
        if len(self._bytes) < 4:
            return None
        if struct.unpack(">I", self._bytes[:4])[0] == SIMPLE_MAGIC:
            return 16
        if len(self._bytes) < 20:
            return None
        magic, _, _, _, length = struct.unpack(">IHHQI", self._bytes[:20])
        return self._if_is(CHUNK_MAGIC, magic, 20 + length)

    def _if_is(self, wanted, magic, size):
        if magic == wanted:
            return size
        self._state = "lost"
        return 0

    def _lost(self):
        return None

    def _replied(self, magic):
        if magic == SIMPLE_MAGIC:
            self.seen["simple"] += 1
        else:
            self.seen[CHUNKS.get(struct.unpack(">H", self._bytes[6:8])[0], "other")] += 1
