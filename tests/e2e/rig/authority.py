"""A cloud's CA, which signs with which key the switch of each host speaks, and where instances are: docs/formats/host-record.md."""
import base64
import struct
import subprocess
import tempfile
import time
from pathlib import Path

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
LIFE_S, SKEW_S = 86400, 600


def openssl(*words, **options):
    return subprocess.run(["openssl", *words], capture_output=True, check=True, **options).stdout


def integers_of(der):
    """The two INTEGERs of an ECDSA signature."""
    out, at = [], 2
    for _ in range(2):
        size = der[at + 1]
        out.append(int.from_bytes(der[at + 2:at + 2 + size], "big"))
        at += 2 + size
    return out


def label(text):
    return bytes([len(text)]) + text.encode("ascii")


class Authority:
    def __init__(self, cloud):
        self.cloud, self._records = cloud, {}
        with tempfile.TemporaryDirectory() as directory:
            key, certificate = Path(directory) / "key", Path(directory) / "certificate"
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-sha256",
                    "-subj", f"/CN={cloud}.godwit", "-addext", "keyUsage=critical,keyCertSign", "-keyout", key, "-out",
                    certificate)
            self._key, self.pem = key.read_text(encoding="ascii"), certificate.read_text(encoding="ascii")

    def host_record(self, host, key_hex):
        """The record of `host`, whose switch's public key this is; the same for the same key."""
        if (host, key_hex) not in self._records:
            now = int(time.time())
            said = (struct.pack("!BBQQB", 1, 1, now - SKEW_S, now + LIFE_S, 1) + bytes.fromhex(key_hex) + label(self.cloud) +
                    label(host))
            self._records[host, key_hex] = base64.urlsafe_b64encode(said + self._sign(said)).rstrip(b"=").decode("ascii")
        return self._records[host, key_hex]

    def location_claim(self, host, network, vni, instance, epoch):
        """That an instance of this cloud is at `host` with that epoch: a cloud moves its own on its own word."""
        now = int(time.time())
        said = (struct.pack("!BBQQBBHQ", 1, 2, now - SKEW_S, now + LIFE_S, 1, vni >> 16, vni & 0xFFFF, epoch) +
                network.encode("ascii") + instance.encode("ascii") + label(self.cloud) + label(host))
        record = said + self._sign(said)
        claim = struct.pack("!BH", 1, len(record)) + record
        return base64.urlsafe_b64encode(claim).rstrip(b"=").decode("ascii")

    def _sign(self, said):
        with tempfile.NamedTemporaryFile("w") as key:
            key.write(self._key)
            key.flush()
            r, s = integers_of(openssl("dgst", "-sha256", "-sign", key.name, input=b"godwit statement\0" + said))
        return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")
