"""Named tuples of this package: as those of `typing`, but for their annotations, which stay texts."""

from __future__ import annotations

import pickle
import typing

from mockserver.named_tuples import NamedTuple


class Own(NamedTuple):
    """A point."""

    x: int
    y: int = 0
    """Not in the way of the default."""

    @property
    def total(self) -> int:
        return self.x + self.y

    def __str__(self) -> str:
        return f"<{self.x}, {self.y}>"


class Typed(typing.NamedTuple):
    """A point."""

    x: int
    y: int = 0

    @property
    def total(self) -> int:
        return self.x + self.y

    def __str__(self) -> str:
        return f"<{self.x}, {self.y}>"


def test_a_named_tuple_is_as_that_of_typing() -> None:
    own, typed = Own(1), Typed(1)
    assert tuple(own) == tuple(typed) == (1, 0)
    assert (str(own), own.total, own.x) == (str(typed), typed.total, typed.x)
    assert tuple(own._replace(y=2)) == tuple(typed._replace(y=2)) == (1, 2)
    assert repr(own) == repr(typed).replace("Typed", "Own")
    assert (Own._fields, Own._field_defaults) == (Typed._fields, Typed._field_defaults)
    assert (Own.__doc__, Own.__module__, Own.__qualname__) == ("A point.", __name__, "Own")
    assert type(pickle.loads(pickle.dumps(own))) is Own  # noqa: S301 (our own bytes)
    assert not hasattr(own, "__dict__")


def test_its_types_can_be_read() -> None:
    assert typing.get_type_hints(Own) == typing.get_type_hints(Typed) == {"x": int, "y": int}
