"""The rules about aborts: whether a client that was told to stop lets go of its request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mockserver.contract.conduct.attempts import Attempt
from mockserver.contract.findings import NumberedFinding
from mockserver.contract.rules import make_conduct_finding

__all__ = ["check_aborts"]


def check_aborts(attempts: Iterable[Attempt]) -> Iterator[NumberedFinding]:
    """The findings about the requests whose client was told to stop."""
    for each in attempts:
        if each.stopped_at is None or each.left_at is not None:
            continue
        if each.end is None:
            message = "the client was told to stop, and its connection is still open"
            yield NumberedFinding(each.number, make_conduct_finding("ABT-002", message))
        else:
            message = "the client was told to stop, and read the reply to its end"
            yield NumberedFinding(each.number, make_conduct_finding("ABT-001", message))
