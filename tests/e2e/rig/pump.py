"""Carries the bytes of QEMU's connections between hosts, as the product's agents do: unix socket, TCP, unix socket."""
import os
import socket
import threading

CHUNK_BYTES = 64 << 10


class Pump:
    """Listens at the unix path `source`, and takes what connects there to the unix path `destination`.

    `tcp_listener` and `dial` are the two ends between the hosts. For each connection `watch()` is called once, and what it
    returns is called with the bytes from the source, in order; `watch_back()` likewise, for those to it. `hold` lets nothing more pass in a direction ("there",
    "back"), as a WAN that has gone quiet; `cut` breaks every connection, as one whose TCP has given up, and for good:
    whoever connects again is hung up on. `mend` ends both.
    """

    def __init__(self, source, destination, tcp_listener, dial, uid, watch=None, watch_back=None):
        self.destination, self.tcp_listener, self.dial, self.watch = destination, tcp_listener, dial, watch
        self.watch_back = watch_back
        self.bytes_there, self.bytes_back, self.connections = 0, 0, 0
        self._open, self._lock, self._lost = [], threading.Lock(), False
        self._free = {"there": threading.Event(), "back": threading.Event()}
        self.mend()
        self.unix_listener = socket.socket(socket.AF_UNIX)
        self.unix_listener.bind(source)
        os.chown(source, uid, uid)
        self.unix_listener.listen(4)
        self._spawn(self._serve_source)
        self._spawn(self._serve_destination)

    @staticmethod
    def _spawn(job, *arguments):
        threading.Thread(target=job, args=arguments, daemon=True).start()

    def _keep(self, *sockets):
        with self._lock:
            self._open += sockets

    def _serve_source(self):
        self._serve(self.unix_listener, self.dial, watched=True)

    def _serve_destination(self):
        def to_qemu():
            end = socket.socket(socket.AF_UNIX)
            end.connect(self.destination)
            return end
        self._serve(self.tcp_listener, to_qemu, watched=False)

    def _serve(self, listener, connect, watched):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return  # closed
            try:
                if self._lost:
                    raise ConnectionError("cut")
                far = connect()
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._keep(near, far)
            if watched:
                self.connections += 1
                there, back = self._counted(self.watch() if self.watch else None), self._held(self.watch_back() if self.watch_back else None)
            else:
                there, back = self._there, None
            self._spawn(self._carry, near, far, there, back)

    def _carry(self, near, far, there, back):
        other = threading.Thread(target=self._copy, args=(far, near, back), daemon=True)
        other.start()
        self._copy(near, far, there)
        other.join()
        # A shutdown alone is not enough for QEMU: what it wrote and nobody read keeps its end "not writable".
        near.close()
        far.close()

    def _counted(self, watch):
        def passing(data):
            self.bytes_there += len(data)
            if watch:
                watch(data)
        return passing

    def _there(self, _):
        self._free["there"].wait()  # at the far end, so that what a WAN and its buffers swallow is swallowed

    def _held(self, watch):
        def passing(data):
            self.bytes_back += len(data)
            if watch:
                watch(data)
            self._free["back"].wait()
        return passing

    def _copy(self, giver, taker, passing):
        try:
            while got := giver.recv(CHUNK_BYTES):
                if passing:
                    passing(got)
                taker.sendall(got)
            taker.shutdown(socket.SHUT_WR)
        except OSError:
            self._break(giver, taker)

    def hold(self, direction):
        self._free[direction].clear()

    def free(self, direction):
        self._free[direction].set()

    @staticmethod
    def _break(*sockets):
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def mend(self):
        self._lost = False
        for direction in self._free:
            self.free(direction)

    def cut(self):
        with self._lock:
            self._lost = True
            self._break(*self._open)
            self._open.clear()
        for direction in self._free:
            self.free(direction)  # nothing is there any more to be held

    def close(self):
        for one in (self.unix_listener, self.tcp_listener):
            self._break(one)
            one.close()
        self.cut()
