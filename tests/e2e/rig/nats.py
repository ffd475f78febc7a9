"""The kinds of NAT that a lab makes (RFC 4787: mapping x filtering), and which of them let their hosts meet without a relay."""
import itertools

SCOPES = ("endpoint", "address", "address-port")
KINDS = tuple(itertools.product(SCOPES, SCOPES))  # mapping, filtering
BLOCKED = "{udp = false}"


def config_of(kind):
    return f'{{mapping = "{kind[0]}", filtering = "{kind[1]}"}}'


def opens(a, b):
    """A datagram of a to the port of b that the relay has seen passes, and an answer too."""
    passes = b[1] == "endpoint" or (b[0] == "endpoint" and (b[1] == "address" or a[0] == "endpoint"))
    return passes and (b[0] == "endpoint" or a[1] != "address-port")


def expected(a, b):
    """True: directly; False: by a relay; None: conntrack answers strangers from the port that they used, so that more is possible."""
    if opens(a, b) or opens(b, a):
        return True
    return None if "endpoint" in (a[1], b[1]) else False
