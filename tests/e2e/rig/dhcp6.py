"""As much of a DHCPv6 client (RFC 8415) as asks for an address, and a gateway's dnsmasq that gives it."""
import socket
import struct
import subprocess
import time

from rig.patience import PATIENCE_S

CLIENT_PORT, SERVER_PORT, SERVERS = 546, 547, "ff02::1:2"
SOLICIT, REQUEST = 1, 3
CLIENT_ID, SERVER_ID, IA_NA, IA_ADDRESS, ELAPSED = 1, 2, 3, 5, 8
RETRY_S = 0.5


def option(code, value):
    return struct.pack("!HH", code, len(value)) + value


def options_of(data):
    out = {}
    while data:
        code, size = struct.unpack("!HH", data[:4])
        out[code], data = data[4:4 + size], data[4 + size:]
    return out


def answer_to(end, message, servers):
    """A server's that is perhaps still about to start."""
    until = time.monotonic() + PATIENCE_S
    while True:
        end.sendto(message, servers)
        try:
            return options_of(end.recv(1500)[4:])
        except TimeoutError:
            if time.monotonic() > until:
                raise


def ask(net, name, index, mac):
    """The address that a guest with this device is given."""
    with net.inside(name):
        end = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    end.bind(("::", CLIENT_PORT, 0, index))
    end.settimeout(RETRY_S)
    identity = option(CLIENT_ID, struct.pack("!HH", 3, 1) + bytes.fromhex(mac.replace(":", "")))
    identity += option(IA_NA, struct.pack("!III", 1, 0, 0)) + option(ELAPSED, b"\0\0")
    more = b""
    for kind in (SOLICIT, REQUEST):
        answer = answer_to(end, bytes([kind]) + b"gdw" + identity + more, (SERVERS, SERVER_PORT, 0, index))
        more = option(SERVER_ID, answer[SERVER_ID])
    return socket.inet_ntop(socket.AF_INET6, options_of(answer[IA_NA][12:])[IA_ADDRESS][:16])


def serve(net, space, prefix, hosts):
    """The process: `hosts` are (MAC, address). As the agent has it (src/agent/gateway.cc), without names and IPv4."""
    with net.inside(space):
        return subprocess.Popen(["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--port=0", "--no-ping",
                                 "--interface=gw0", "--bind-interfaces", "--leasefile-ro", "--dhcp-authoritative", "--enable-ra",
                                 "--ra-param=gw0,60,0", "--dhcp-duid=32473,00000001", f"--dhcp-range={prefix}::,static,64,infinite",
                                 *(f"--dhcp-host={mac},[{address}]" for mac, address in hosts)],
                                stderr=subprocess.DEVNULL)
