"""The only module that writes tags: everything that is not markup is escaped, in text and attributes.

    >>> print(tag("p", "a < b", class_="note"))
    <p class="note">a &lt; b</p>

Attributes that run code or lead out of the page are refused: no `on…`, no `style`, and links only to
places within the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import orjson

from mockserver.reports.formatting import escape_invisible

__all__ = ["Markup", "join_children", "json_script", "raw_element", "server_link", "tag"]

_VOID_ELEMENTS = frozenset({"br", "input", "meta"})
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_SERVER_PATH = re.compile(r"(?:/[A-Za-z0-9_-]+)+")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


class Markup(str):
    """Text that is HTML; only the functions of this module create it."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """An element. Children that are not `Markup` are escaped; None is omitted.

    Attributes: `class_` is `class`, underscores become hyphens, True is an attribute without a value, None
    and False are omitted. ValueError for a forbidden attribute.
    """
    head = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID_ELEMENTS:
        return Markup(f"<{name}{head}>")
    return Markup(f"<{name}{head}>{join_children(children)}</{name}>")


def join_children(children: Iterable[str | None]) -> Markup:
    """Concatenate children."""
    return Markup("".join(each if isinstance(each, Markup) else _escape(each) for each in children if each))


def raw_element(name: str, content: str, /, **attributes: str) -> Markup:
    """A `style` or `script` element with unescaped content; ValueError if the content would end it early."""
    if "</" in content or "<!--" in content:
        raise ValueError(f"the content of <{name}> would end it")
    head = "".join(_attribute(key, value) for key, value in attributes.items())
    return Markup(f"<{name}{head}>{content}</{name}>")


def server_link(path: str, text: str, /) -> Markup:
    """A link to another page of the server that shows this page; ValueError unless `path` is a plain path.

    Only a page that is never a file may have one.
    """
    if not _SERVER_PATH.fullmatch(path):
        raise ValueError(f"the link leads out of the server: {path}")
    return Markup(f'<a href="{path}">{_escape(text)}</a>')


def json_script(value: object, /, **attributes: str) -> Markup:
    """A script element that holds JSON for the page's script; nothing in it can end the element."""
    text = escape_invisible(orjson.dumps(value).decode())
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return raw_element("script", text, type="application/json", **attributes)


def _escape(text: str) -> str:
    return escape_invisible(text).translate(_ENTITIES)


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if not _ATTRIBUTE_NAME.fullmatch(name) or name.lower().startswith("on") or name.lower() == "style":
        raise ValueError(f"no attribute {name!r} in a report")
    if name in ("href", "src", "action", "formaction") and not str(value).startswith("#"):
        raise ValueError(f"{name} leads out of the report: {value}")
    return f" {name}" if value is True else f' {name}="{_escape(str(value))}"'
