"""Named tuples in less time: their classes, for modules that every server loads, and their creation.

`typing.NamedTuple` compiles the annotation of each member, which no code of this package asks for. With hundreds of
members this is a twentieth of the instructions of a start. `NamedTuple` is like it, but leaves annotations as texts.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["NamedTuple", "new_tuple"]

#: Makes a named tuple of its class and all of its members, without the Python function that is its constructor, which
#: takes twice as long. Only for what every request needs: no type checker looks at the members, and none has its
#: default.
new_tuple = tuple.__new__

_SET_BY_NAMEDTUPLE = frozenset({"__annotations__", "__module__", "__qualname__"})
#: Type checkers accept only literal arguments of `namedtuple`.
_create_class: Callable[..., Any] = namedtuple  # noqa: PYI024


class _NamedTupleMeta(type):
    """Replaces the body of a class by a subclass of `tuple`."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(mcs, name, bases, namespace)
        annotations = namespace.get("__annotations__", {})
        defaults = [namespace[each] for each in annotations if each in namespace]
        created = _create_class(name, annotations, defaults=defaults, module=namespace["__module__"])
        created.__annotations__ = annotations
        for key, value in namespace.items():
            if key not in _SET_BY_NAMEDTUPLE and key not in annotations:
                setattr(created, key, value)
        return created


if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class NamedTuple(metaclass=_NamedTupleMeta):
        """The base in a class statement; the class inherits from `tuple`."""
