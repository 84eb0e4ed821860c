"""Named tuples without the Python function that is their constructor, which takes twice as long."""

from __future__ import annotations

__all__ = ["new_tuple"]

#: Makes a named tuple of its class and all of its members. Only for what every request needs: no type checker looks at
#: the members, and none has its default.
new_tuple = tuple.__new__
