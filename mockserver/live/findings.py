"""Where in the contract a finding is: the same for every answer that shows the same thing.

What an answer breaks: the contract's own rules, and those that only a running endpoint can keep.
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
    "LocatedFinding",
    "body_findings",
    "contract_location",
    "live_rule_finding",
    "locate_findings",
    "refusal_findings",
    "response_findings",
]

#: Families of rules that are about a stream as a whole: at which event they are broken is chance.
_STREAM_RULE_PREFIXES = ("SSE-", "SEQ-")
#: Rules that tell of a type which is not known: the type is the place.
_UNKNOWN_TYPE_RULES = frozenset({"SEQ-012", "SCH-005", "REQ-006"})


def contract_location(finding: Finding, root: str, value: Any) -> str:
    """A place without indices: "usage/total_tokens", "response.output_text.delta/logprobs".

    `root` names what the finding's pointer goes into, `value` is that. Where the pointer passes a
    response, an item or a part, the place begins anew with its name: it is the same thing, streamed or not.
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
    """What a value is called in the contract, where it has a name of its own."""
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


#: Findings that say of a documented peculiarity that it was there: no news.
_DOCUMENTED_RULES = frozenset({"SEQ-014", "REQ-002"})


@dataclass(frozen=True, slots=True)
class LocatedFinding:
    """A finding, its place in the contract, and the answer that shows it."""

    finding: Finding
    contract_location: str
    interaction: Interaction

    @property
    def is_failure(self) -> bool:
        """Whether a rule is broken; else the contract has only grown, or the look of things changed."""
        return self.finding.severity is Severity.ERROR


def live_rule_finding(rule: str, message: str, *, expected: Any = None, got: Any = None) -> Finding:
    """A finding by a rule of `schemas/live.json`."""
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
    """What is wrong with the answer to a good request."""
    broken = _transport_finding(interaction)
    if broken is not None:
        return [LocatedFinding(broken, _transport_location(broken, interaction), interaction)]
    if interaction.status != 200:
        refused = live_rule_finding(
            "LIV-002",
            "a good request is refused",
            expected=200,
            got=f"{interaction.status}: {_body_excerpt(interaction)}",
        )
        return [LocatedFinding(refused, str(interaction.status), interaction)]
    check = check_stream if interaction.request.streamed else check_response
    source = [data for _, data in interaction.chunks] if interaction.request.streamed else interaction.body
    findings = check(source or b"", profile, interaction.request.body)
    if interaction.end is ReplyEnd.STOPPED:
        findings = [each for each in findings if each.rule not in ("SEQ-006", "SSE-003", "ITM-008")]
    found = locate_findings(findings, interaction)
    if not any(each.rule in ("SSE-006", "SCH-006") for each in findings):
        found += _content_type_findings(interaction)
    response = interaction.response
    if response is not None and response.get("status") == "failed":
        message = "a good request is answered by a failed response"
        failed = live_rule_finding("LIV-002", message, expected="completed", got=response.get("error"))
        found.append(LocatedFinding(failed, "failed", interaction))
    return found


def body_findings(interaction: Interaction, profile: str, kind: str) -> list[LocatedFinding]:
    """What is wrong with the answer of another operation, whose body is of that `kind`."""
    broken = _transport_finding(interaction)
    if broken is not None:
        return [LocatedFinding(broken, _transport_location(broken, interaction), interaction)]
    if interaction.status != 200:
        got = f"{interaction.status}: {_body_excerpt(interaction)}"
        refused = live_rule_finding("LIV-002", "a good request is refused", expected=200, got=got)
        return [LocatedFinding(refused, f"{kind}: {interaction.status}", interaction)]
    found = check_body(interaction.body, kind, profile)
    places = [contract_location(each, kind, interaction.value) for each in found]
    return [LocatedFinding(each, place, interaction) for each, place in zip(found, places, strict=True)]


def refusal_findings(
    interaction: Interaction, profile: str, rule: str, description: str, statuses: tuple[int, ...]
) -> list[LocatedFinding]:
    """What is wrong with the answer to a request that breaks `rule`, as `about` says.

    `statuses` are those that the documents give; a failed response at HTTP status 200 is a refusal too.
    """
    broken = _transport_finding(interaction)
    if broken is not None:
        return [LocatedFinding(broken, _transport_location(broken, interaction), interaction)]
    status, response = interaction.status or 0, interaction.response
    if status == 200:
        return _inband_refusal_findings(interaction, profile, rule, description, response)
    if status not in statuses:
        message = f"{description}: refused with another status"
        found = live_rule_finding("LIV-004", message, expected=" or ".join(map(str, statuses)), got=status)
        return [LocatedFinding(found, description, interaction)]
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
        f"{description}: it was answered, though {rule} is broken"
        if name != rule
        else f"{description}: it was answered"
    )
    expected, got = "a refusal", (response or {}).get("status") or _body_excerpt(interaction)
    return [
        LocatedFinding(live_rule_finding(name, message, expected=expected, got=got), description, interaction)
    ]


def locate_findings(findings: list[Finding], interaction: Interaction) -> list[LocatedFinding]:
    """The findings with their places, without those that only name what is documented."""
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
    """What kept an answer from coming whole, or from being the endpoint's own."""
    if interaction.status is not None and 300 <= interaction.status < 400:
        where = interaction.headers.get("location", "")
        return live_rule_finding(
            "LIV-008", "a redirect, which is not followed", expected=200, got=f"{interaction.status} {where}"
        )
    encoding = interaction.headers.get("content-encoding", "identity")
    if encoding != "identity":
        return live_rule_finding(
            "LIV-008", "the body is compressed, though that was not asked for", got=encoding
        )
    if interaction.end in (ReplyEnd.COMPLETE, ReplyEnd.STOPPED):
        return None
    return live_rule_finding(
        "LIV-001",
        f"the answer has not come whole: {interaction.detail or interaction.end}",
        got=interaction.end.value,
    )


def _content_type_findings(interaction: Interaction) -> list[LocatedFinding]:
    expected = "text/event-stream" if interaction.is_stream else "application/json"
    given = interaction.headers.get("content-type", "")
    if given.split(";")[0].strip().lower() == expected:
        return []
    found = live_rule_finding("LIV-006", "the content type is another", expected=expected, got=given or None)
    return [LocatedFinding(found, expected, interaction)]


def _transport_location(finding: Finding, interaction: Interaction) -> str:
    if finding.rule == "LIV-008":
        return str(finding.got).split(" ")[0]
    return f"{'stream' if interaction.request.streamed else 'reply'}: {interaction.end}"


def _body_excerpt(interaction: Interaction) -> str:
    return interaction.body[:200].decode(errors="replace")
