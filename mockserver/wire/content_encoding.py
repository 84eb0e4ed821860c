"""Content codings of HTTP bodies: gzip, deflate, br and zstd, decoded within a limit.

A body is decoded piece by piece, so that a small body that stands for a huge one costs no more than the limit,
and so that a server can do other work in between. Sources: RFC 9110, section 8.4 (2022), and for the window of
zstd RFC 9659 (2024). Brotli and zstd need packages of the extra `compression`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, TypeAlias

from mockserver.errors import (
    BodyTooLarge,
    InvalidEncoding,
    MissingPackage,
    UnsupportedEncoding,
    install_command,
    optional_packages,
)

__all__ = ["CODINGS", "decode_pieces", "parse_content_encoding"]

Pieces: TypeAlias = Iterator[bytes]

#: Bytes that are decoded, and about as many that are produced, before a piece is yielded.
_PIECE_BYTES = 64 << 10

#: Codings that one body may have; a second one makes a body no smaller.
_MAX_CODINGS = 2

#: Members of gzip and frames of zstd in one body: each costs time, even if it is empty.
_MAX_MEMBERS = 1000

#: The base-2 logarithm of the largest window of zstd: 8 MiB (RFC 9659). The frame names it, and it is allocated.
_ZSTD_WINDOW_LOG = 23

_GZIP_WINDOW_BITS = 31
_ZLIB_WINDOW_BITS = 15


def parse_content_encoding(header_values: Iterable[bytes]) -> tuple[str, ...]:
    """The codings of a body in the order in which they were applied. Raises UnsupportedEncoding."""
    names = b",".join(header_values).decode("latin-1").lower().split(",")
    codings = [_ALIASES.get(name, name) for name in map(str.strip, names) if name not in ("", "identity")]
    for name in codings:
        if name not in _DECODERS:
            raise UnsupportedEncoding(f"{name[:40]!a} is not one of {', '.join(CODINGS)}")
    if len(codings) > _MAX_CODINGS:
        raise UnsupportedEncoding(f"a body has at most {_MAX_CODINGS} content codings, not {len(codings)}")
    return tuple(codings)


def decode_pieces(data: bytes, codings: Iterable[str], max_bytes: int) -> Pieces:
    """The decoded body in pieces, some of them empty.

    Raises InvalidEncoding if a coding is not what the data have, BodyTooLarge beyond `max_bytes`, and
    MissingPackage.
    """
    pieces: Pieces = (data[at : at + _PIECE_BYTES] for at in range(0, len(data), _PIECE_BYTES))
    for name in reversed(tuple(codings)):
        pieces = _limit(_DECODERS[name](pieces), max_bytes)
    return pieces


def _limit(pieces: Pieces, max_bytes: int) -> Pieces:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > max_bytes:
            raise BodyTooLarge(max_bytes)
        yield piece


def _decode_gzip(pieces: Pieces) -> Pieces:
    return _decode_members(pieces, "gzip", lambda: _Inflater(_GZIP_WINDOW_BITS), zlib.error)


def _decode_deflate(pieces: Pieces) -> Pieces:
    return _decode_members(pieces, "deflate", lambda: _Inflater(_ZLIB_WINDOW_BITS), zlib.error, max_members=1)


def _decode_zstd(pieces: Pieces) -> Pieces:
    with optional_packages():
        zstd = _import_zstd()
    options = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    return _decode_members(pieces, "zstd", lambda: zstd.ZstdDecompressor(options=options), zstd.ZstdError)


def _import_zstd() -> Any:
    try:
        return import_module("compression.zstd")  # Python 3.14
    except ModuleNotFoundError:
        return import_module("backports.zstd")


class _Inflater:
    """zlib's decompressor with the interface of the zstd module: it keeps the input that is left over."""

    def __init__(self, window_bits: int) -> None:
        self._inflate = zlib.decompressobj(window_bits)
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        decoded = self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)
        # At the limit, some output may be left although all input is consumed.
        self.needs_input = not self._inflate.unconsumed_tail and len(decoded) < max_length
        return decoded

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data


def _decode_members(
    pieces: Pieces,
    name: str,
    new_decoder: Callable[[], Any],
    error_type: type[Exception],
    max_members: int = _MAX_MEMBERS,
) -> Pieces:
    """Decode members that follow one another, each with a decoder of its own."""
    decoder, members = new_decoder(), 1
    try:
        for piece in pieces:
            if not piece:
                yield b""
            rest = piece
            while rest or not (decoder.eof or decoder.needs_input):
                if decoder.eof:
                    decoder, members = new_decoder(), members + 1
                    if members > max_members:
                        raise InvalidEncoding(name)
                yield decoder.decompress(rest, max_length=_PIECE_BYTES)
                rest = decoder.unused_data if decoder.eof else b""
    except error_type:
        raise InvalidEncoding(name) from None
    if not decoder.eof:
        raise InvalidEncoding(name)


def _decode_brotli(pieces: Pieces) -> Pieces:
    with optional_packages():
        brotli: Any = import_module("brotli")
    if not hasattr(brotli.Decompressor, "can_accept_more_data"):
        command = install_command("responses-mockserver[compression]")
        raise MissingPackage(f"brotli is older than 1.2: {command}")
    decoder = brotli.Decompressor()
    try:
        for piece in pieces:
            # At its end, the decoder takes no more input, not even an empty piece.
            decoded = decoder.process(piece, output_buffer_limit=_PIECE_BYTES) if piece else b""
            yield decoded
            while not decoder.is_finished() and (
                len(decoded) >= _PIECE_BYTES or not decoder.can_accept_more_data()
            ):
                decoded = decoder.process(b"", output_buffer_limit=_PIECE_BYTES)
                yield decoded
    except brotli.error:
        raise InvalidEncoding("br") from None
    if not decoder.is_finished():
        raise InvalidEncoding("br")


#: `x-gzip` is gzip (RFC 9110, section 8.4.1.3).
_ALIASES = {"x-gzip": "gzip"}

_DECODERS: dict[str, Callable[[Pieces], Pieces]] = {
    "gzip": _decode_gzip,
    "deflate": _decode_deflate,
    "br": _decode_brotli,
    "zstd": _decode_zstd,
}

#: The codings that `decode_pieces` knows.
CODINGS = tuple(_DECODERS)
