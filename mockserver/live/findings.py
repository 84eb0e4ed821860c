"""Findings about the replies of a live endpoint, and where in the contract they belong.

A reply is checked by the contract's rules and by the live rules (`schemas/live.json`), which only a running
endpoint can break. The location in the contract is the same for every reply that shows the same problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mockserver.contract.check import check_body, check_error, check_response, check_stream
from mockserver.contract.findings import Finding, Severity, truncate_value
from mockserver.contract.rules import load_live_rules
from mockserver.live.client import Interaction, ReplyEnd
from mockserver.wire import json

__all__ = [
    "UNFINISHED_STREAM_RULES",
    "LocatedFinding",
    "body_findings",
    "contract_location",
    "live_rule_finding",
    "locate_findings",
    "refusal_findings",
    "response_findings",
]

#: Rules that a valid stream breaks if it is cut off at any byte (measured for every prefix of two streams).
UNFINISHED_STREAM_RULES = frozenset({"SEQ-006", "SSE-003", "SSE-006"})

#: Rules about a stream as a whole: the event at which they are broken is chance.
_STREAM_RULE_PREFIXES = ("SSE-", "SEQ-")
#: Rules that report an unknown type: the type is the location.
_UNKNOWN_TYPE_RULES = frozenset({"SEQ-012", "SCH-005", "REQ-006"})


def contract_location(finding: Finding, root: str, value: Any) -> str:
    """A location without indices: "usage/total_tokens", "response.output_text.delta/logprobs".

    `root` names the value that the finding's pointer refers to. If the pointer passes a response, an item
    or a part, the location starts there: it is then the same in a reply and in a stream.
    """
    if finding.rule in _UNKNOWN_TYPE_RULES:
        return str(finding.got)
    if finding.rule.startswith(_STREAM_RULE_PREFIXES):
        return "stream"
    return "/".join(_location_steps(root, finding.pointer, value))


def _location_steps(root: str, pointer: str, value: Any) -> list[str]:
    steps = [root]
    for token in json.parse_pointer(pointer):
        value = _child(value, token)
        name = _contract_name(token, value)
        steps = [name] if name else [*steps, "*" if token.isdecimal() else token]
    return steps


def _contract_name(token: str, value: Any) -> str | None:
    """The name of a value in the contract; None if it has none of its own."""
    if not isinstance(value, dict):
        return None
    if token in ("response", "usage"):
        return token
    kind = value.get("type")
    return kind if isinstance(kind, str) and (token.isdecimal() or token in ("item", "part")) else None


def _child(value: Any, token: str) -> Any:
    if isinstance(value, dict):
        return value.get(token)
    if isinstance(value, list) and token.isdecimal() and int(token) < len(value):
        return value[int(token)]
    return None


#: Rules that only report a documented peculiarity: not a finding here.
_DOCUMENTED_RULES = frozenset({"SEQ-014", "REQ-002"})


@dataclass(frozen=True, slots=True)
class LocatedFinding:
    """A finding, its location in the contract, and the interaction that shows it."""

    finding: Finding
    contract_location: str
    interaction: Interaction

    @property
    def is_failure(self) -> bool:
        """Whether a rule is broken; otherwise the finding is drift."""
        return self.finding.severity is Severity.ERROR


def live_rule_finding(rule: str, message: str, *, expected: Any = None, got: Any = None) -> Finding:
    """A finding of a live rule."""
    return Finding(
        rule,
        load_live_rules()[rule].severity,
        "",
        None,
        message,
        truncate_value(expected),
        truncate_value(got),
    )


def response_findings(interaction: Interaction, profile: str) -> list[LocatedFinding]:
    """Check the reply to a valid request."""
    broken = _transport_finding(interaction)
    if broken is not None:
        return [LocatedFinding(broken, _transport_location(broken, interaction), interaction)]
    if interaction.status != 200:
        refused = live_rule_finding(
            "LIV-002",
            "a valid request is refused",
            expected=200,
            got=f"{interaction.status}: {_body_excerpt(interaction)}",
        )
        return [LocatedFinding(refused, str(interaction.status), interaction)]
    check = check_stream if interaction.request.streamed else check_response
    source = [data for _, data in interaction.chunks] if interaction.request.streamed else interaction.body
    findings = check(source or b"", profile, interaction.request.body)
    if interaction.end is ReplyEnd.STOPPED:
        findings = [each for each in findings if each.rule not in UNFINISHED_STREAM_RULES]
    located = locate_findings(findings, interaction)
    if not any(each.rule in ("SSE-006", "SCH-006") for each in findings):
        located += _content_type_findings(interaction)
    response = interaction.response
    if response is not None and response.get("status") == "failed":
        message = "a valid request gets a failed response"
        failed = live_rule_finding("LIV-002", message, expected="completed", got=response.get("error"))
        located.append(LocatedFinding(failed, "failed", interaction))
    return located


def body_findings(interaction: Interaction, profile: str, kind: str) -> list[LocatedFinding]:
    """Check the reply of another operation, whose body has the schema `kind`."""
    broken = _transport_finding(interaction)
    if broken is not None:
        return [LocatedFinding(broken, _transport_location(broken, interaction), interaction)]
    if interaction.status != 200:
        got = f"{interaction.status}: {_body_excerpt(interaction)}"
        refused = live_rule_finding("LIV-002", "a valid request is refused", expected=200, got=got)
        return [LocatedFinding(refused, f"{kind}: {interaction.status}", interaction)]
    return [
        LocatedFinding(each, contract_location(each, kind, interaction.value), interaction)
        for each in check_body(interaction.body, kind, profile)
    ]


def refusal_findings(
    interaction: Interaction, profile: str, rule: str, description: str, statuses: tuple[int, ...]
) -> list[LocatedFinding]:
    """Check the reply to a request that breaks `rule`; `description` says how.

    `statuses` are the documented ones; a failed response with HTTP status 200 is a refusal too.
    """
    broken = _transport_finding(interaction)
    if broken is not None:
        return [LocatedFinding(broken, _transport_location(broken, interaction), interaction)]
    status, response = interaction.status or 0, interaction.response
    if status == 200:
        return _inband_refusal_findings(interaction, profile, rule, description, response)
    if status not in statuses:
        message = f"{description}: refused with an undocumented status"
        wrong = live_rule_finding("LIV-004", message, expected=" or ".join(map(str, statuses)), got=status)
        return [LocatedFinding(wrong, description, interaction)]
    return locate_findings(
        check_error(interaction.body, profile, status), interaction
    ) + _content_type_findings(interaction)


def _inband_refusal_findings(
    interaction: Interaction, profile: str, rule: str, description: str, response: dict[str, Any] | None
) -> list[LocatedFinding]:
    untyped = any(
        isinstance(each, dict) and "type" not in each and "code" in each for each in interaction.events
    )
    if untyped or (response is not None and response.get("status") == "failed"):
        check = check_stream if interaction.is_stream else check_error
        return locate_findings(check(interaction.body, profile), interaction)
    name = rule if rule.startswith("LIV-") else "LIV-003"
    message = (
        f"{description}: accepted, although it breaks {rule}" if name != rule else f"{description}: accepted"
    )
    expected, got = "a refusal", (response or {}).get("status") or _body_excerpt(interaction)
    return [
        LocatedFinding(live_rule_finding(name, message, expected=expected, got=got), description, interaction)
    ]


def locate_findings(findings: list[Finding], interaction: Interaction) -> list[LocatedFinding]:
    """Add locations to findings, and drop those that only report documented peculiarities."""
    return [
        LocatedFinding(each, _location(each, interaction), interaction)
        for each in findings
        if each.rule not in _DOCUMENTED_RULES
    ]


def _location(finding: Finding, interaction: Interaction) -> str:
    at = finding.event
    if at is None:
        value = (
            {"response": interaction.response}
            if finding.pointer.startswith("/response/")
            else interaction.value
        )
        root = "stream" if interaction.is_stream else "error" if interaction.response is None else "response"
        return contract_location(finding, root, value)
    value = interaction.events[at] if at < len(interaction.events) else None
    kind = value.get("type") if isinstance(value, dict) else None
    return contract_location(finding, kind if isinstance(kind, str) else "event", value)


def _transport_finding(interaction: Interaction) -> Finding | None:
    """A redirect, a compressed body or an incomplete reply; None if the reply can be checked."""
    if interaction.status is not None and 300 <= interaction.status < 400:
        target = interaction.headers.get("location", "")
        return live_rule_finding(
            "LIV-008", "a redirect, which is not followed", expected=200, got=f"{interaction.status} {target}"
        )
    encoding = interaction.headers.get("content-encoding", "identity")
    if encoding != "identity":
        return live_rule_finding(
            "LIV-008", "the body is compressed although the request did not allow it", got=encoding
        )
    if interaction.end in (ReplyEnd.COMPLETE, ReplyEnd.STOPPED):
        return None
    return live_rule_finding(
        "LIV-001",
        f"the reply is incomplete: {interaction.detail or interaction.end}",
        got=interaction.end.value,
    )


def _content_type_findings(interaction: Interaction) -> list[LocatedFinding]:
    expected = "text/event-stream" if interaction.is_stream else "application/json"
    content_type = interaction.headers.get("content-type", "")
    if content_type.split(";")[0].strip().lower() == expected:
        return []
    wrong = live_rule_finding("LIV-006", "wrong content type", expected=expected, got=content_type or None)
    return [LocatedFinding(wrong, expected, interaction)]


def _transport_location(finding: Finding, interaction: Interaction) -> str:
    if finding.rule == "LIV-008":
        return str(finding.got).split(" ")[0]
    return f"{'stream' if interaction.request.streamed else 'reply'}: {interaction.end}"


def _body_excerpt(interaction: Interaction) -> str:
    return interaction.body[:200].decode(errors="replace")
