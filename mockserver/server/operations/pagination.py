"""Pagination of listed items."""

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
    """Return the page that the query's `after`, `limit` and `order` select; `items` are in order of time.

    Raises ApiError 400 for an invalid limit or order, and for an unknown id in `after`.
    """
    parameters = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    limit, order = _parse_limit(parameters.get("limit")), parameters.get("order", ["desc"])[-1]
    if order not in _ORDERS:
        _raise_invalid(f"order must be one of {', '.join(sorted(_ORDERS))}, not {order!r}")
    ordered = list(items) if order == "asc" else list(reversed(items))
    after = parameters.get("after")
    if after is not None:
        ids = [item["id"] for item in ordered]
        if after[-1] not in ids:
            _raise_invalid(f"Item with id '{after[-1]}' not found.")
        ordered = ordered[ids.index(after[-1]) + 1 :]
    page = ordered[:limit]
    return {
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "has_more": len(ordered) > len(page),
        "last_id": page[-1]["id"] if page else None,
    }


def _parse_limit(values: list[str] | None) -> int:
    if values is None:
        return _DEFAULT_LIMIT
    text = values[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= _MAX_LIMIT):
        _raise_invalid(f"Range of limit should be [1, {_MAX_LIMIT}], not {text!r}")
    return int(text)


def _raise_invalid(message: str) -> NoReturn:
    # The codes are those of the error-code page; the texts for these cases are inferred.
    raise ApiError(400, "InvalidParameter", message)
