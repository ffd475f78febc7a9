"""tests/e2e/imds_stub.py: a stand-in for Godwit's metadata service, to boot images without a cloud.

It answers the EC2 paths that docs/formats/metadata.md lists, with IMDSv2 tokens required, and remembers who asked for what.
"""
import json
import secrets
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS = "169.254.169.254"
VERSIONS = ("latest", "2021-03-23", "2018-09-24", "2016-09-02", "2009-04-04")


@dataclass
class Instance:
    """What the service knows of one guest."""
    instance_id: str
    hostname: str
    mac: str
    ip: str
    public_key: str
    user_data: str = ""
    subnet: str = "10.7.0.0/24"
    requests: list = field(default_factory=list)

    def tree(self):
        """The metadata as nested dictionaries; a leaf is text."""
        interface = {"device-number": "0", "interface-id": "eni-" + self.instance_id[2:], "local-hostname": self.hostname,
                     "local-ipv4s": self.ip, "mac": self.mac, "subnet-ipv4-cidr-block": self.subnet,
                     "subnet-id": "subnet-1", "vpc-id": "vpc-1"}
        placement = {"availability-zone": "lab-1a", "region": "lab-1"}
        meta_data = {"ami-id": "ami-1", "hostname": self.hostname, "instance-id": self.instance_id,
                     "instance-type": "t3.micro", "local-hostname": self.hostname, "local-ipv4": self.ip, "mac": self.mac,
                     "network": {"interfaces": {"macs": {self.mac: interface}}}, "placement": placement,
                     "public-keys": {"0=godwit": {"openssh-key": self.public_key}}}
        document = {"instanceId": self.instance_id, "availabilityZone": "lab-1a", "region": "lab-1",
                    "instanceType": "t3.micro", "imageId": "ami-1", "privateIp": self.ip, "architecture": "x86_64",
                    "version": "2017-09-30"}
        tree = {"meta-data": meta_data, "dynamic": {"instance-identity": {"document": json.dumps(document)}}}
        if self.user_data:
            tree["user-data"] = self.user_data
        return tree

    def find(self, path):
        """The text at `path` (after the version), or None. A directory is a list of names, those of directories with a /."""
        node = self.tree()
        for name in [name for name in path.split("/") if name]:
            if not isinstance(node, dict):
                return None
            if name.isdigit():  # public-keys/0/ is listed as 0=godwit
                name = next((key for key in node if key.startswith(name + "=")), name)
            node = node.get(name)
        if isinstance(node, dict):
            return "\n".join(name + "/" if isinstance(value, dict) and "=" not in name else name
                             for name, value in node.items())
        return node


class Service:
    """Serves `instances` (by their IP address) at http://169.254.169.254/ of this network namespace."""

    def __init__(self, instances, address=ADDRESS):
        self.instances = {instance.ip: instance for instance in instances}
        self.tokens = set()
        self.server = ThreadingHTTPServer((address, 80), self._handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def _handler(service):  # pylint: disable=no-self-argument
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, text=""):
                instance = service.instances.get(self.client_address[0])
                if instance:
                    instance.requests.append((self.command, self.path, status))
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_PUT(self):
                if self.path != "/latest/api/token":
                    return self.answer(404)
                if "X-Forwarded-For" in self.headers:
                    return self.answer(403)
                lifetime_s = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
                if not lifetime_s.isdigit() or not 1 <= int(lifetime_s) <= 21600:
                    return self.answer(400)
                token = secrets.token_urlsafe(32)
                service.tokens.add(token)
                self.answer(200, token)

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.answer(200 if self.path == "/godwit/ready" else 404)

            def do_GET(self):
                if self.headers.get("X-aws-ec2-metadata-token") not in service.tokens:
                    return self.answer(401)
                version, _, path = self.path.lstrip("/").partition("/")
                instance = service.instances.get(self.client_address[0])
                text = instance.find(path) if instance and version in VERSIONS else None
                self.answer(404) if text is None else self.answer(200, text)

        return Handler
