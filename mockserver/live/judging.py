"""What an answer breaks: the contract's own rules, and those that only a running endpoint can keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mockserver.contract.check import check_body, check_error, check_response, check_stream
from mockserver.contract.findings import Finding, Severity, shown
from mockserver.contract.rules import live_rules
from mockserver.live.client import Crossing, End
from mockserver.live.places import place_in_contract

__all__ = ["Found", "answer_findings", "body_findings", "live_finding", "placed", "refusal_findings"]

#: Findings that say of a documented peculiarity that it was there: no news.
_DOCUMENTED = frozenset({"SEQ-014", "REQ-002"})


@dataclass(frozen=True, slots=True)
class Found:
    """A finding, its place in the contract, and the answer that shows it."""

    finding: Finding
    place: str
    crossing: Crossing

    @property
    def is_fail(self) -> bool:
        """Whether a rule is broken; else the contract has only grown, or the look of things changed."""
        return self.finding.severity is Severity.ERROR


def live_finding(rule: str, message: str, *, expected: Any = None, got: Any = None) -> Finding:
    """A finding by a rule of `schemas/live.json`."""
    return Finding(rule, live_rules()[rule].severity, "", None, message, shown(expected), shown(got))


def answer_findings(crossing: Crossing, profile: str) -> list[Found]:
    """What is wrong with the answer to a good request."""
    broken = _transport(crossing)
    if broken is not None:
        return [Found(broken, _broken_place(broken, crossing), crossing)]
    if crossing.status != 200:
        refused = live_finding(
            "LIV-002",
            "a good request is refused",
            expected=200,
            got=f"{crossing.status}: {_glimpse(crossing)}",
        )
        return [Found(refused, str(crossing.status), crossing)]
    check = check_stream if crossing.ask.streamed else check_response
    source = [data for _, data in crossing.chunks] if crossing.ask.streamed else crossing.body
    findings = check(source or b"", profile, crossing.ask.body)
    if crossing.end is End.STOPPED:
        findings = [each for each in findings if each.rule not in ("SEQ-006", "SSE-003", "ITM-008")]
    found = placed(findings, crossing)
    if not any(each.rule in ("SSE-006", "SCH-006") for each in findings):
        found += _content_type(crossing)
    response = crossing.response
    if response is not None and response.get("status") == "failed":
        message = "a good request is answered by a failed response"
        failed = live_finding("LIV-002", message, expected="completed", got=response.get("error"))
        found.append(Found(failed, "failed", crossing))
    return found


def body_findings(crossing: Crossing, profile: str, kind: str) -> list[Found]:
    """What is wrong with the answer of another operation, whose body is of that `kind`."""
    broken = _transport(crossing)
    if broken is not None:
        return [Found(broken, _broken_place(broken, crossing), crossing)]
    if crossing.status != 200:
        got = f"{crossing.status}: {_glimpse(crossing)}"
        refused = live_finding("LIV-002", "a good request is refused", expected=200, got=got)
        return [Found(refused, f"{kind}: {crossing.status}", crossing)]
    found = check_body(crossing.body, kind, profile)
    places = [place_in_contract(each, kind, crossing.value) for each in found]
    return [Found(each, place, crossing) for each, place in zip(found, places, strict=True)]


def refusal_findings(
    crossing: Crossing, profile: str, rule: str, about: str, statuses: tuple[int, ...]
) -> list[Found]:
    """What is wrong with the answer to a request that breaks `rule`, as `about` says.

    `statuses` are those that the documents give; a failed response at HTTP status 200 is a refusal too.
    """
    broken = _transport(crossing)
    if broken is not None:
        return [Found(broken, _broken_place(broken, crossing), crossing)]
    status, response = crossing.status or 0, crossing.response
    if status == 200:
        return _refused_in_band(crossing, profile, rule, about, response)
    if status not in statuses:
        message = f"{about}: refused with another status"
        found = live_finding("LIV-004", message, expected=" or ".join(map(str, statuses)), got=status)
        return [Found(found, about, crossing)]
    return placed(check_error(crossing.body, profile, status), crossing) + _content_type(crossing)


def _refused_in_band(
    crossing: Crossing, profile: str, rule: str, about: str, response: dict[str, Any] | None
) -> list[Found]:
    untyped = any(
        isinstance(each, dict) and "type" not in each and "code" in each for each in crossing.events
    )
    if untyped or (response is not None and response.get("status") == "failed"):
        check = check_stream if crossing.is_stream else check_error
        return placed(check(crossing.body, profile), crossing)
    name = rule if rule.startswith("LIV-") else "LIV-003"
    message = (
        f"{about}: it was answered, though {rule} is broken" if name != rule else f"{about}: it was answered"
    )
    expected, got = "a refusal", (response or {}).get("status") or _glimpse(crossing)
    return [Found(live_finding(name, message, expected=expected, got=got), about, crossing)]


def placed(findings: list[Finding], crossing: Crossing) -> list[Found]:
    """The findings with their places, without those that only name what is documented."""
    return [
        Found(each, _place(each, crossing), crossing) for each in findings if each.rule not in _DOCUMENTED
    ]


def _place(finding: Finding, crossing: Crossing) -> str:
    at = finding.event
    if at is None:
        value = (
            {"response": crossing.response} if finding.pointer.startswith("/response/") else crossing.value
        )
        root = "stream" if crossing.is_stream else "error" if crossing.response is None else "response"
        return place_in_contract(finding, root, value)
    value = crossing.events[at] if at < len(crossing.events) else None
    kind = value.get("type") if isinstance(value, dict) else None
    return place_in_contract(finding, kind if isinstance(kind, str) else "event", value)


def _transport(crossing: Crossing) -> Finding | None:
    """What kept an answer from coming whole, or from being the endpoint's own."""
    if crossing.status is not None and 300 <= crossing.status < 400:
        where = crossing.headers.get("location", "")
        return live_finding(
            "LIV-008", "a redirect, which is not followed", expected=200, got=f"{crossing.status} {where}"
        )
    encoding = crossing.headers.get("content-encoding", "identity")
    if encoding != "identity":
        return live_finding("LIV-008", "the body is compressed, though that was not asked for", got=encoding)
    if crossing.end in (End.COMPLETE, End.STOPPED):
        return None
    return live_finding(
        "LIV-001", f"the answer has not come whole: {crossing.detail or crossing.end}", got=crossing.end.value
    )


def _content_type(crossing: Crossing) -> list[Found]:
    expected = "text/event-stream" if crossing.is_stream else "application/json"
    given = crossing.headers.get("content-type", "")
    if given.split(";")[0].strip().lower() == expected:
        return []
    found = live_finding("LIV-006", "the content type is another", expected=expected, got=given or None)
    return [Found(found, expected, crossing)]


def _broken_place(broken: Finding, crossing: Crossing) -> str:
    if broken.rule == "LIV-008":
        return str(broken.got).split(" ")[0]
    return f"{'stream' if crossing.ask.streamed else 'reply'}: {crossing.end}"


def _glimpse(crossing: Crossing) -> str:
    return crossing.body[:200].decode(errors="replace")
