"""Carries the bytes of QEMU's connections between hosts, as the product's agents do: unix socket, TCP, unix socket."""
import os
import socket
import threading

CHUNK_BYTES = 64 << 10


class Pump:
    """Listens at the unix path `source`, and takes what connects there to the unix path `destination`.

    `tcp_listener` and `dial` are the two ends between the hosts; `watch(direction, bytes)` sees what passes, in order,
    direction being "there" or "back". `cut` breaks every connection at once, as a lost WAN whose TCP has given up.
    """

    def __init__(self, source, destination, tcp_listener, dial, uid, watch=None):
        self.destination, self.tcp_listener, self.dial, self.watch = destination, tcp_listener, dial, watch
        self.bytes_there, self.bytes_back, self._open, self._lock = 0, 0, [], threading.Lock()
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
                far = connect()
            except OSError:
                near.close()
                continue
            self._keep(near, far)
            self._spawn(self._copy, near, far, "there" if watched else None)
            self._spawn(self._copy, far, near, "back" if watched else None)

    def _copy(self, giver, taker, direction):
        try:
            while got := giver.recv(CHUNK_BYTES):
                if direction == "there":
                    self.bytes_there += len(got)
                elif direction == "back":
                    self.bytes_back += len(got)
                if direction and self.watch:
                    self.watch(direction, got)
                taker.sendall(got)
            taker.shutdown(socket.SHUT_WR)
        except OSError:
            self._break(giver, taker)

    @staticmethod
    def _break(*sockets):
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self._lock:
            self._break(*self._open)
            self._open.clear()

    def close(self):
        for one in (self.unix_listener, self.tcp_listener):
            self._break(one)
            one.close()
        self.cut()
