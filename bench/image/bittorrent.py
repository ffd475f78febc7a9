"""aria2 with a tracker of our own: aria2 has none, and needs one to begin."""
import hashlib
import http.server
import socket
import struct
import threading
import urllib.parse

from image.scene import HOSTS
from image.ways import Way

PIECE = 256 << 10
TRACKER_PORT = 6969
PEER_PORT = 6881


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, str):
        return bencode(value.encode())
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


class Tracker(http.server.BaseHTTPRequestHandler):
    """Tells everybody of everybody who has asked before."""
    peers = {}

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        port = int(query.get("port", [PEER_PORT])[0])
        self.peers[self.client_address[0]] = port
        known = b"".join(socket.inet_aton(ip) + struct.pack(">H", at) for ip, at in self.peers.items())
        body = bencode({"interval": 1, "min interval": 1, "peers": known})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class BitTorrent(Way):
    name = "aria2 (BitTorrent)"

    def start(self):
        torrent = self.directory / "torrent"
        hashes = b""
        with self.source.open("rb") as file:
            while piece := file.read(PIECE):
                hashes += hashlib.sha1(piece).digest()
        torrent.write_bytes(bencode({"announce": f"http://{self.scene.ip(0)}:{TRACKER_PORT}/announce",
                                     "info": {"name": "image", "length": self.size, "piece length": PIECE, "pieces": hashes}}))
        Tracker.peers = {}
        with self.scene.net.inside(self.scene.name(0)):
            self.tracker = http.server.ThreadingHTTPServer((self.scene.ip(0), TRACKER_PORT), Tracker)
        threading.Thread(target=self.tracker.serve_forever, daemon=True).start()
        for host in range(HOSTS):
            place = self.directory / f"bt{host}"
            place.mkdir()
            seeds = host == 0
            if seeds:
                (place / "image").hardlink_to(self.source)
            else:
                self.out(host).symlink_to(place / "image")
            self.spawn(host, "aria2c", "--seed-ratio=0", "--seed-time=1000", "--enable-dht=false", "--bt-enable-lpd=true", "--quiet",
                       f"--check-integrity={'true' if seeds else 'false'}", "--file-allocation=none", f"--listen-port={PEER_PORT}",
                       "--bt-tracker-interval=1", "--disk-cache=0", f"--dir={place}", torrent)

    def done(self, host):
        place = self.directory / f"bt{host}"
        whole = (place / "image").exists() and (place / "image").stat().st_size == self.size
        return whole and not (place / "image.aria2").exists()

    def stop(self):
        super().stop()
        self.tracker.shutdown()
        self.tracker.server_close()
