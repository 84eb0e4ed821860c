"""What a probe has in hand: it asks, and what comes back is judged at once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mockserver.live.asking import Asker
from mockserver.live.client import Ask, Crossing
from mockserver.live.judging import (
    Found,
    answer_findings,
    body_findings,
    live_finding,
    refusal_findings,
)
from mockserver.profiles import Profile

__all__ = ["NO_MORE", "Inconclusive", "NotAsked", "Talk"]


#: No parameters beside model and input.
NO_MORE: Mapping[str, Any] = MappingProxyType({})


class Inconclusive(Exception):
    """A probe can not tell: the message says why."""


class NotAsked(Exception):
    """A probe is left out: the message says what is missing."""


class Talk:
    """One probe's talk with the endpoint."""

    def __init__(
        self, asker: Asker, profile: Profile, model: str, nonce: str, own: Mapping[str, str] = NO_MORE
    ) -> None:
        self._asker = asker
        self.profile = profile
        self.model = model
        self.nonce = nonce
        """Letters that make this run's questions others than the last one's, so that no cache answers."""
        self.own = own
        """What the user has named of their own: "vector_store", "mcp_server"."""
        self.crossings: list[Crossing] = []
        self.found: list[Found] = []

    @property
    def unknown_id(self) -> str:
        """An id of the profile's form that nobody has."""
        nobody = "00000000-0000-4000-8000-000000000000"
        return nobody if self.profile.id_form == "uuid" else self.profile.id_form + nobody

    def body(self, input: Any, parameters: Mapping[str, Any] = NO_MORE) -> dict[str, Any]:  # noqa: A002
        """The body of a create request."""
        return {"model": self.model, "input": input, **parameters}

    def send(self, ask: Ask) -> Crossing:
        """Ask, and leave what comes back unjudged."""
        return self._asker.ask(ask, self.crossings.append)

    def answer(
        self,
        input: Any,  # noqa: A002 (the API's own word)
        parameters: Mapping[str, Any] = NO_MORE,
        *,
        tokens: int = 200,
        stop_after: int | None = None,
        headers: Mapping[str, str] = NO_MORE,
    ) -> Crossing:
        """Ask what is to be answered; Inconclusive where nothing more can be told after what came."""
        body = self.body(input, parameters)
        crossing = self.send(Ask(body, tokens=tokens, stop_after=stop_after, headers=headers))
        found = answer_findings(crossing, self.profile.name)
        self.found += found
        if any(each.finding.rule in ("LIV-001", "LIV-002", "LIV-008") for each in found):
            raise Inconclusive("what came back is no answer")
        return crossing

    def got(self, path: str, kind: str, method: str = "GET", body: Any = None) -> dict[str, Any]:
        """The value that another operation answers with, judged as a body of that `kind`."""
        crossing = self.send(Ask(body, method=method, path=path))
        found = body_findings(crossing, self.profile.name, kind)
        self.found += found
        if any(each.finding.rule in ("LIV-001", "LIV-002", "LIV-008") for each in found):
            raise Inconclusive("what came back is no answer")
        return crossing.value if isinstance(crossing.value, dict) else {}

    def missing(self, path: str, about: str) -> Crossing:
        """Ask for what is not there; that it is 404 is inferred, so 400 is taken as well."""
        return self.refused(Ask(method="GET", path=path), "LIV-009", about, (404, 400))

    def refused(self, ask: Ask, rule: str, about: str, statuses: tuple[int, ...] = (400,)) -> Crossing:
        """Ask what is to be refused, for breaking `rule`; `statuses` are those that the documents give."""
        crossing = self.send(ask)
        self.found += refusal_findings(crossing, self.profile.name, rule, about, statuses)
        return crossing

    def say(
        self, rule: str, crossing: Crossing, message: str, *, expected: Any = None, got: Any = None
    ) -> None:
        """A finding of the probe's own, by a rule of `schemas/live.json`."""
        finding = live_finding(rule, message, expected=expected, got=got)
        self.found.append(Found(finding, message, crossing))
