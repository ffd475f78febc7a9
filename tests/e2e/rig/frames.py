"""Frames as guests make them, byte by byte, for those that write them to a device themselves."""
import socket
import struct

BROADCAST = "ff:ff:ff:ff:ff:ff"
IPV4, ARP, RARP = 0x0800, 0x0806, 0x8035
UDP, REQUEST, REVERSE_REQUEST = 17, 1, 3
ETHERNET_BYTES, IPV4_BYTES, LEAST_BYTES = 14, 20, 60


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(to, sender, kind, payload):
    return (mac_bytes(to) + mac_bytes(sender) + struct.pack("!H", kind) + payload).ljust(LEAST_BYTES, b"\0")


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(to_mac, sender_mac, to, sender, data):
    """`to`, `sender`: (address, port). Without a checksum of UDP's."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, IPV4_BYTES + 8 + len(data), 0, 0, 64, UDP, 0, socket.inet_aton(sender[0]),
                     socket.inet_aton(to[0]))
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return ethernet(to_mac, sender_mac, IPV4, ip + struct.pack("!HHHH", sender[1], to[1], 8 + len(data), 0) + data)


def read_udp(frame):
    """(source port, destination port, data) of an IPv4 packet without options; None: it is something else."""
    if frame[12:14] != struct.pack("!H", IPV4) or frame[23] != UDP:
        return None
    at = ETHERNET_BYTES + IPV4_BYTES
    source, destination, length = struct.unpack("!HHH", frame[at:at + 6])
    return source, destination, frame[at + 8:at + length]


def rarp(mac):
    """What QEMU sends where a guest has come to run."""
    own = mac_bytes(mac)
    return ethernet(BROADCAST, mac, RARP, struct.pack("!HHBBH", 1, IPV4, 6, 4, REVERSE_REQUEST) + own + bytes(4) + own + bytes(4))


def arp_announcement(mac, ip):
    """Gratuitous ARP (RFC 5227): of one's own address, to everybody."""
    own, address = mac_bytes(mac), socket.inet_aton(ip)
    return ethernet(BROADCAST, mac, ARP, struct.pack("!HHBBH", 1, IPV4, 6, 4, REQUEST) + own + address + bytes(6) + address)


def is_announcement(frame, mac):
    """"RARP", "gratuitous ARP" or None: what that sender says of itself."""
    if frame[6:12] != mac_bytes(mac):
        return None
    kind = struct.unpack("!H", frame[12:14])[0]
    if kind == RARP:
        return "RARP"
    return "gratuitous ARP" if kind == ARP and frame[28:32] == frame[38:42] else None
