"""The only place that writes tags: whatever is not markup already is escaped, text and attributes alike.

    >>> print(tag("p", "a < b", class_="note"))
    <p class="note">a &lt; b</p>

No attribute that runs something or leads out of the page can be written: no `on…`, no `style`, and links
lead to places within it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import orjson

from mockserver.reports.formatting import escape_invisible

__all__ = ["Markup", "join_children", "json_script", "raw_element", "tag"]

_VOID_ELEMENTS = frozenset({"br", "input", "meta"})
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


class Markup(str):
    """Text that is HTML; made by the functions of this module alone."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """An element. A child that is no `Markup` is text; None is left out.

    Attributes: `class_` is `class`, an underscore within is a hyphen, True stands alone, None and False are
    left out. ValueError for one that must not be.
    """
    head = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID_ELEMENTS:
        return Markup(f"<{name}{head}>")
    return Markup(f"<{name}{head}>{join_children(children)}</{name}>")


def join_children(children: Iterable[str | None]) -> Markup:
    """Children one behind another."""
    return Markup("".join(each if isinstance(each, Markup) else _escape(each) for each in children if each))


def raw_element(name: str, content: str, /, **attributes: str) -> Markup:
    """A `style` or `script` element, its content as it is; ValueError where that would end it early."""
    if "</" in content or "<!--" in content:
        raise ValueError(f"the content of <{name}> would end it")
    head = "".join(_attribute(key, value) for key, value in attributes.items())
    return Markup(f"<{name}{head}>{content}</{name}>")


def json_script(value: object, /, **attributes: str) -> Markup:
    """JSON for the page's script: a script element that is data, with nothing in it that could end it."""
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
