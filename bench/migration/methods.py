"""The ways of crossing that are compared. All go through the same tunnel, so through the same TLS channel; those of QEMU through one
that encodes nothing."""
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Method:
    """`capabilities` and `parameters` are QEMU's, beside those that all methods have; `both` says whether its destination needs
    them too."""
    name: str
    what: str
    encodings: str = "plain"
    capabilities: tuple = ()
    parameters: dict = field(default_factory=dict)
    both: bool = False
    shares: bool = False  # what one guest brings spares others


PLAIN = Method("plain", "QEMU's pre-copy")
SHRINK = Method("shrink", "ours", encodings="shrink", shares=True)
MULTIFD = Method("multifd", "QEMU's multifd with zstd, level 1", capabilities=("multifd",), both=True,
                 parameters={"multifd-channels": 2, "multifd-compression": "zstd", "multifd-zstd-level": 1})
XBZRLE = Method("xbzrle", "QEMU's XBZRLE", capabilities=("xbzrle",), parameters={"xbzrle-cache-size": 256 << 20})
DEDUP = Method("dedup", "exact deduplication alone", encodings="dedup", shares=True)
ZSTD = Method("zstd", "a zstd stream", encodings="zstd")
METHODS = {each.name: each for each in (PLAIN, XBZRLE, MULTIFD, DEDUP, ZSTD, SHRINK)}
