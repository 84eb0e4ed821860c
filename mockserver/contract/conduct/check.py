"""`check_conduct`: all rules about a client's conduct."""

from __future__ import annotations

from collections.abc import Iterable

from mockserver.contract.conduct.aborts import check_aborts
from mockserver.contract.conduct.attempts import Attempt
from mockserver.contract.conduct.contexts import check_contexts
from mockserver.contract.conduct.retries import check_retries
from mockserver.contract.findings import NumberedFinding

__all__ = ["check_conduct"]


def check_conduct(attempts: Iterable[Attempt]) -> list[NumberedFinding]:
    """The findings about what a client does over several requests, by the number of the request.

    `attempts` are those of one session, in the order of their arrival.
    """
    listed = list(attempts)
    found = [*check_retries(listed), *check_aborts(listed), *check_contexts(listed)]
    return sorted(found, key=lambda each: each.request_number)
