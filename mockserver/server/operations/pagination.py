"""Listing: one page of items, as the query of a request asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn
from urllib.parse import parse_qs

from mockserver.server.errors import ApiError

__all__ = ["paginate"]

#: API reference, List input items, September 2026.
_DEFAULT_LIMIT = 20
_MAX_LIMIT = 100
_ORDERS = ("desc", "asc")


def paginate(items: Sequence[dict[str, Any]], query: bytes) -> dict[str, Any]:
    """The page of `items`, which are in the order of time, that `after`, `limit` and `order` ask for.

    ApiError 400 for a limit or order that can not be, and where no item has the id `after`.
    """
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    limit, order = _parse_limit(asked.get("limit")), asked.get("order", ["desc"])[-1]
    if order not in _ORDERS:
        _raise_invalid(f"order must be one of {', '.join(sorted(_ORDERS))}, not {order!r}")
    ordered = list(items) if order == "asc" else list(reversed(items))
    after = asked.get("after")
    if after is not None:
        ids = [item["id"] for item in ordered]
        if after[-1] not in ids:
            _raise_invalid(f"Item with id '{after[-1]}' not found.")
        ordered = ordered[ids.index(after[-1]) + 1 :]
    shown = ordered[:limit]
    return {
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "has_more": len(ordered) > len(shown),
        "last_id": shown[-1]["id"] if shown else None,
    }


def _parse_limit(values: list[str] | None) -> int:
    if values is None:
        return _DEFAULT_LIMIT
    text = values[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= _MAX_LIMIT):
        _raise_invalid(f"Range of limit should be [1, {_MAX_LIMIT}], not {text!r}")
    return int(text)


def _raise_invalid(message: str) -> NoReturn:
    # Codes as those of the error-code page; the texts for these cases are inferred.
    raise ApiError(400, "InvalidParameter", message)
