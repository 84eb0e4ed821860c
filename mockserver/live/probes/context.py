"""A picture to ask about.

What a probe has in hand: it asks, and what comes back is judged at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mockserver.live.budgeted_client import BudgetedClient
from mockserver.live.client import Interaction, LiveRequest
from mockserver.live.findings import (
    LocatedFinding,
    body_findings,
    live_rule_finding,
    refusal_findings,
    response_findings,
)
from mockserver.profiles import Profile

__all__ = ["NO_PARAMETERS", "TEST_IMAGE", "ProbeContext", "ProbeInconclusive", "ProbeSkipped"]

#: A red square of 16 by 16 pixels: the service reads none under 10 (limits page, 2026).
TEST_IMAGE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4oKBAEmIY"
    "1TCqYfhqAAC6CAAQxbtsJAAAAABJRU5ErkJggg=="
)


#: No parameters beside model and input.
NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({})


class ProbeInconclusive(Exception):
    """A probe can not tell: the message says why."""


class ProbeSkipped(Exception):
    """A probe is left out: the message says what is missing."""


class ProbeContext:
    """One probe's talk with the endpoint."""

    def __init__(
        self,
        client: BudgetedClient,
        profile: Profile,
        model: str,
        nonce: str,
        user_resources: Mapping[str, str] = NO_PARAMETERS,
    ) -> None:
        self._client = client
        self.profile = profile
        self.model = model
        self.nonce = nonce
        """Letters that make this run's questions others than the last one's, so that no cache answers."""
        self.user_resources = user_resources
        """What the user has named of their own: "vector_store", "mcp_server"."""
        self.interactions: list[Interaction] = []
        self.findings: list[LocatedFinding] = []

    @property
    def unknown_id(self) -> str:
        """An id of the profile's form that nobody has."""
        nobody = "00000000-0000-4000-8000-000000000000"
        return nobody if self.profile.id_form == "uuid" else self.profile.id_form + nobody

    def create_body(self, input: Any, parameters: Mapping[str, Any] = NO_PARAMETERS) -> dict[str, Any]:  # noqa: A002
        """The body of a create request."""
        return {"model": self.model, "input": input, **parameters}

    def send(self, request: LiveRequest) -> Interaction:
        """Ask, and leave what comes back unjudged."""
        return self._client.send(request, self.interactions.append)

    def create_response(
        self,
        input: Any,  # noqa: A002 (the API's own word)
        parameters: Mapping[str, Any] = NO_PARAMETERS,
        *,
        expected_tokens: int = 200,
        stop_after_events: int | None = None,
        headers: Mapping[str, str] = NO_PARAMETERS,
    ) -> Interaction:
        """Ask what is to be answered; Inconclusive where nothing more can be told after what came."""
        body = self.create_body(input, parameters)
        crossing = self.send(
            LiveRequest(
                body, expected_tokens=expected_tokens, stop_after_events=stop_after_events, headers=headers
            )
        )
        found = response_findings(crossing, self.profile.name)
        self.findings += found
        if any(each.finding.rule in ("LIV-001", "LIV-002", "LIV-008") for each in found):
            raise ProbeInconclusive("what came back is no answer")
        return crossing

    def call_operation(self, path: str, kind: str, method: str = "GET", body: Any = None) -> dict[str, Any]:
        """The value that another operation answers with, judged as a body of that `kind`."""
        crossing = self.send(LiveRequest(body, method=method, path=path))
        found = body_findings(crossing, self.profile.name, kind)
        self.findings += found
        if any(each.finding.rule in ("LIV-001", "LIV-002", "LIV-008") for each in found):
            raise ProbeInconclusive("what came back is no answer")
        return crossing.value if isinstance(crossing.value, dict) else {}

    def expect_not_found(self, path: str, description: str) -> Interaction:
        """Ask for what is not there; that it is 404 is inferred, so 400 is taken as well."""
        return self.expect_refusal(LiveRequest(method="GET", path=path), "LIV-009", description, (404, 400))

    def expect_refusal(
        self, request: LiveRequest, rule: str, description: str, statuses: tuple[int, ...] = (400,)
    ) -> Interaction:
        """Ask what is to be refused, for breaking `rule`; `statuses` are those that the documents give."""
        crossing = self.send(request)
        self.findings += refusal_findings(crossing, self.profile.name, rule, description, statuses)
        return crossing

    def add_finding(
        self, rule: str, interaction: Interaction, message: str, *, expected: Any = None, got: Any = None
    ) -> None:
        """A finding of the probe's own, by a rule of `schemas/live.json`."""
        finding = live_rule_finding(rule, message, expected=expected, got=got)
        self.findings.append(LocatedFinding(finding, message, interaction))
