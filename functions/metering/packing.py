"""Canonical JSON and its compression: the one way in which packed values become bytes."""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from metering.errors import Unreadable

MOST_BYTES = 256 * 1024
"""Of the uncompressed content of one item; what is larger is cut into several."""

_Piece = TypeVar("_Piece")
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(value: object) -> bytes:
    """The bytes that mean this value, the same ones however its mappings were built."""
    return _ENCODER.encode(value).encode()


def cut(pieces: Iterable[_Piece], bytes_of: Callable[[_Piece], int]) -> Iterator[list[_Piece]]:
    """Cut pieces, in their order, into parts of at most `MOST_BYTES` each; a larger piece is a part by itself."""
    part: list[_Piece] = []
    size = 0
    for piece in pieces:
        weight = bytes_of(piece)
        if part and size + weight > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(piece)
        size += weight
    if part:
        yield part


def digest(content: bytes) -> str:
    """128 bits of SHA-256, as hexadecimal: enough that two contents never share a key."""
    return hashlib.sha256(content).hexdigest()[:32]


def compress(content: bytes) -> bytes:
    """Deflate without a header; the level is zlib's own, as higher ones gain nothing on such data."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


def unpack_json(data: bytes) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Read back what `compress(canonical(value))` wrote.

    Raises:
        Unreadable: the bytes are damaged.
    """
    try:
        return json.loads(zlib.decompress(data, wbits=-15))
    except (zlib.error, ValueError):
        raise Unreadable("the packed bytes cannot be read") from None
