"""What a probe works with: it sends requests, and every reply is checked at once."""

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

#: A red square of 16 by 16 pixels: the service rejects images below 10 pixels (limits page, 2026).
TEST_IMAGE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4oKBAEmIY"
    "1TCqYfhqAAC6CAAQxbtsJAAAAABJRU5ErkJggg=="
)

#: No parameters besides model and input.
NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({})


class ProbeInconclusive(Exception):
    """The reply does not answer the probe's question; the message says why."""


class ProbeSkipped(Exception):
    """The probe cannot run; the message says what is missing."""


class ProbeContext:
    """The interactions of one probe with the endpoint, and their findings."""

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
        """Text that varies the prompts from run to run, so that no cache answers them."""
        self.user_resources = user_resources
        """Resources of the user that some tools need: "vector_store", "mcp_server"."""
        self.interactions: list[Interaction] = []
        self.findings: list[LocatedFinding] = []

    @property
    def unknown_id(self) -> str:
        """A response id in the profile's form that does not exist."""
        uuid = "00000000-0000-4000-8000-000000000000"
        return uuid if self.profile.id_form == "uuid" else self.profile.id_form + uuid

    def create_body(self, input: Any, parameters: Mapping[str, Any] = NO_PARAMETERS) -> dict[str, Any]:  # noqa: A002
        """The body of a create request."""
        return {"model": self.model, "input": input, **parameters}

    def send(self, request: LiveRequest) -> Interaction:
        """Send a request without checking the reply."""
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
        """Send a valid create request and check the reply. Raises ProbeInconclusive if it is not a response."""
        body = self.create_body(input, parameters)
        return self.check_response(
            LiveRequest(
                body, expected_tokens=expected_tokens, stop_after_events=stop_after_events, headers=headers
            )
        )

    def check_response(self, request: LiveRequest) -> Interaction:
        """Send a valid create request and check the reply. Raises as `create_response`."""
        interaction = self.send(request)
        self._add_checked(response_findings(interaction, self.profile.name))
        return interaction

    def call_operation(self, path: str, kind: str, method: str = "GET", body: Any = None) -> dict[str, Any]:
        """Call another operation, check the reply against the schema `kind`, and return its value."""
        interaction = self.send(LiveRequest(body, method=method, path=path))
        self._add_checked(body_findings(interaction, self.profile.name, kind))
        return interaction.value if isinstance(interaction.value, dict) else {}

    def _add_checked(self, findings: list[LocatedFinding]) -> None:
        self.findings += findings
        if any(each.finding.rule in ("LIV-001", "LIV-002", "LIV-008") for each in findings):
            raise ProbeInconclusive("the reply cannot be used")

    def expect_not_found(self, path: str, description: str) -> Interaction:
        """Request something that does not exist. Status 404 is inferred, so 400 is accepted as well."""
        return self.expect_refusal(LiveRequest(method="GET", path=path), "LIV-009", description, (404, 400))

    def expect_refusal(
        self, request: LiveRequest, rule: str, description: str, statuses: tuple[int, ...] = (400,)
    ) -> Interaction:
        """Send a request that breaks `rule` and check that it is refused with one of the documented `statuses`."""
        interaction = self.send(request)
        self.findings += refusal_findings(interaction, self.profile.name, rule, description, statuses)
        return interaction

    def add_finding(
        self, rule: str, interaction: Interaction, message: str, *, expected: Any = None, got: Any = None
    ) -> None:
        """Add a finding of a live rule."""
        finding = live_rule_finding(rule, message, expected=expected, got=got)
        self.findings.append(LocatedFinding(finding, message, interaction))
