"""Parse a body before it is checked, and check its text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, TypeAlias

from mockserver.contract.findings import Finding
from mockserver.contract.rules import limit_findings, make_finding
from mockserver.errors import InvalidJSON
from mockserver.wire import json

__all__ = ["Body", "body_value", "parse_body", "stream_pieces"]

Body: TypeAlias = bytes | bytearray | memoryview | Any


def parse_body(body: Body) -> tuple[Any, list[Finding]]:
    """The value of a body, and the findings in its text; the value is None if the body is not JSON."""
    if not isinstance(body, bytes | bytearray | memoryview):
        return body, []
    data = bytes(body)
    try:
        value = json.loads(data)
    except InvalidJSON as error:
        got = data[:80].decode(errors="replace")
        return None, [make_finding("SCH-006", "", f"the body is not JSON: {error}", got=got)]
    names = json.find_duplicate_keys(data)
    findings = [make_finding("SCH-007", "", f"duplicate member {name}", got=name) for name in names]
    return value, limit_findings(findings)


def body_value(body: Body) -> Any:
    """The value of a body; None if it is not JSON."""
    return parse_body(body)[0]


def stream_pieces(source: bytes | bytearray | memoryview | str | Iterable[Any]) -> tuple[Iterator[Any], bool]:
    """The pieces of a stream or its parsed events, and whether they are bytes."""
    if isinstance(source, str):
        source = source.encode(errors="surrogatepass")
    if isinstance(source, bytes | bytearray | memoryview):
        source = [source]
    items = iter(source)
    first = list(islice(items, 1))
    return chain(first, items), bool(first) and isinstance(first[0], bytes | bytearray | memoryview)
