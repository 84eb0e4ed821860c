"""Check a body or a stream against the contract.

Each function takes bytes that crossed the wire, or their parsed value, and returns findings; no finding means
that the contract was kept. Only findings of severity `error` break it: see `contract.findings.errors`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from mockserver.contract.bodies.call_outputs import CallHistory, unchecked_call_outputs
from mockserver.contract.bodies.parsing import Body, body_value, parse_body, stream_pieces
from mockserver.contract.bodies.requests import RequestChecker
from mockserver.contract.bodies.responses import (
    RESPONSE_STATUSES,
    check_against_request,
    check_incomplete_details,
    check_output,
    check_usage,
    without_echoed_values,
)
from mockserver.contract.findings import Finding, errors
from mockserver.contract.operations import body_schemas
from mockserver.contract.rules import Report, make_finding
from mockserver.contract.schema.registry import load_schemas
from mockserver.contract.schema.validation import MAX_UNKNOWN_MEMBERS, schema_findings
from mockserver.contract.schema.validation_messages import json_type
from mockserver.contract.stream.event_sequence import EventSequenceChecker
from mockserver.contract.stream.framing import ResponsesFramingChecker
from mockserver.contract.stream.json_lines import JSONLinesChecker
from mockserver.errors import UnknownSchema
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile
from mockserver.suggestions import choose_from

__all__ = [
    "RULES_SKIPPED_WHEN_TRIMMED",
    "check_body",
    "check_error",
    "check_json_text",
    "check_request",
    "check_response",
    "check_stream",
]

#: Rules about members, numbers, events and pieces of text that a sample lacks once it is shortened by hand.
#: A trimmed sample is checked by all other rules.
RULES_SKIPPED_WHEN_TRIMMED = frozenset(
    {
        *("SCH-002", "USE-004"),
        *("SEQ-002", "SEQ-004", "SEQ-006", "SEQ-008", "SEQ-013"),
        *("ITM-001", "ITM-002", "ITM-008", "ITM-012", "ITM-013", "ITM-015", "ITM-020"),
        *("TXT-001", "TXT-002", "TXT-003", "TXT-004", "TXT-006"),
    }
)

_FINAL_STATUSES = frozenset({"completed", "failed", "incomplete"})


def check_request(
    body: Body,
    profile: str | Profile = DEFAULT_PROFILE,
    models: Container[str] | None = None,
    history: CallHistory | None = None,
) -> list[Finding]:
    """Check the body of a create request.

    `models` are the models the server accepts; None means the profile's own. `history` has the function calls of
    the turns that the request continues; if some are unknown, an info says which outputs were not compared.

    >>> for finding in check_request({"model": "qwen3-max-2026-01-23", "input": []}):
    ...     print(finding.rule, finding.pointer)
    REQ-001 /input
    """
    value, found = parse_body(body)
    if found and value is None:
        return found
    profile = _resolve_profile(profile)
    found += RequestChecker(profile, models).check(value, history)
    if not errors(found):
        found += unchecked_call_outputs(value, profile, history)
    return found


def check_response(
    body: Body, profile: str | Profile = DEFAULT_PROFILE, request: Body = None, *, trimmed: bool = False
) -> list[Finding]:
    """Check the body of a response that was not streamed.

    `request` is the body it answers (bytes or value); with it, also check that the response fits the request.
    `trimmed` skips the `RULES_SKIPPED_WHEN_TRIMMED`, for a sample that was shortened by hand.
    """
    profile = _resolve_profile(profile)
    value, found = parse_body(body)
    if found and value is None:
        return found
    report = Report(profile.name)
    request_value = body_value(request)
    violations = schema_findings(load_schemas(profile.name), "response", value)
    report.findings = found + without_echoed_values(violations, request_value)
    if isinstance(value, dict):
        _check_response_rules(value, profile, report)
        check_against_request(value, request_value, profile, report)
        if isinstance(request_value, dict) and request_value.get("stream") is True:
            report.add("SSE-006", "", "the request asks for a stream, but the answer is JSON")
    return _filter_trimmed(report.findings + report.omitted_findings(), trimmed=trimmed)


def _check_response_rules(response: dict[str, Any], profile: Profile, report: Report) -> None:
    status = response.get("status")
    runs_in_background = response.get("background") is True and status in ("queued", "in_progress")
    if isinstance(status, str) and status in RESPONSE_STATUSES - _FINAL_STATUSES and not runs_in_background:
        message = "a response that is not streamed has a final status"
        report.add("SEQ-009", "/status", message, expected="completed", got=status)
    if status == "completed" and response.get("model") == "":
        report.add("SEQ-011", "/model", "the model is empty in a finished response", got="")
    check_incomplete_details(response, report)
    check_usage(response, profile, report)
    check_output(response, report)


def check_error(
    body: Body, profile: str | Profile = DEFAULT_PROFILE, status: int | None = None
) -> list[Finding]:
    """Check the body of an error: flat, or wrapped in `error`.

    A failed response is also valid unless the HTTP `status` is 400 or more: the service reports some faults
    this way (API reference, August 2026).
    """
    profile = _resolve_profile(profile)
    value, found = parse_body(body)
    if found and value is None:
        return found
    known = load_schemas(profile.name)
    if isinstance(value, dict) and value.get("object") == "response":
        found += schema_findings(known, "response", value)
        if value.get("status") != "failed" or (status is not None and status >= 400):
            report = Report(profile.name)
            message = "a response object instead of an error"
            report.add("SCH-001", "/object", message, got=value.get("status"))
            found += report.findings
        return found
    if isinstance(value, dict) and not value.keys() & {"error", "code", "message"}:
        message = "no error envelope: neither {request_id, code, message} nor {error}"
        return [*found, make_finding("SCH-002", "", message, got=value)]
    if isinstance(value, dict) and "error" in value:
        return found + schema_findings(known, "error_wrapped", value)
    if "error" in known.event_types and isinstance(value, dict):
        return found + _check_flat_error(value, profile)
    return found + schema_findings(known, "error", value)


def _check_flat_error(value: dict[str, Any], profile: Profile) -> list[Finding]:
    """Check a flat error in a profile whose schema `error` describes the event."""
    if profile.error_types:
        return [make_finding("SCH-002", "/error", "the error is flat, not in a member `error`", got=value)]
    return [
        make_finding("SCH-001", f"/{name}", f"{name} must be string, not {json_type(value[name])}")
        for name in ("code", "message")
        if not isinstance(value.get(name), str | None)
    ]


def check_body(body: Body, schema_name: str, profile: str | Profile = DEFAULT_PROFILE) -> list[Finding]:
    """Check a body of one of the profile's other operations.

    `schema_name` is one that `contract.operations` names, such as "input_items", "conversation" or "models".
    UnknownSchema lists those of the profile.

    >>> check_body({"id": "resp_1", "deleted": True}, "deleted_response", "qwen-2026-05")
    []
    """
    profile = _resolve_profile(profile)
    if schema_name == "create_request":
        return check_request(body, profile)
    if schema_name == "response":
        return check_response(body, profile)
    known = sorted({*body_schemas(profile)})
    if schema_name not in known:
        raise UnknownSchema(f"{profile.name} has no body {schema_name!r}{choose_from(schema_name, known)}")
    value, found = parse_body(body)
    if found and value is None:
        return found
    schemas = load_schemas(profile.name)
    found += schema_findings(schemas, schema_name, value, max_unknown=MAX_UNKNOWN_MEMBERS)
    if isinstance(value, dict) and isinstance(value.get("data"), list) and "first_id" in value:
        found += _check_page(value, profile)
    return found


def _check_page(page: dict[str, Any], profile: Profile) -> list[Finding]:
    """ITM-006 and SCH-001: ids are unique, and `first_id` and `last_id` are those of the list."""
    report = Report(profile.name)
    ids = [each.get("id") for each in page["data"] if isinstance(each, dict)]
    earlier: set[str] = set()
    for name, expected in (("first_id", ids[:1]), ("last_id", ids[-1:])):
        expected_id = expected[0] if expected else None
        if page.get(name) != expected_id:
            message = f"is not the id of the {name.partition('_')[0]} item of the page"
            report.add("SCH-001", f"/{name}", message, expected=expected_id, got=page.get(name))
    for index, item_id in enumerate(ids):
        if isinstance(item_id, str):
            if item_id in earlier:
                report.add("ITM-006", f"/data/{index}/id", "another item has this id", got=item_id)
            earlier.add(item_id)
    return report.findings + report.omitted_findings()


def check_stream(
    source: bytes | bytearray | memoryview | str | Iterable[Any],
    profile: str | Profile = DEFAULT_PROFILE,
    request: Body = None,
    *,
    trimmed: bool = False,
) -> list[Finding]:
    """Check a stream: its bytes or text, or an iterable of chunks of bytes or of parsed events.

    Bytes are server-sent events, or JSON Lines with one event a line. Findings come in the order of the
    events. `request` and `trimmed` work as in `check_response`.

    >>> events = [{"type": "response.created", "sequence_number": 0}]
    >>> [finding.rule for finding in check_stream(events)]
    ['SCH-002', 'SEQ-006']
    """
    profile = _resolve_profile(profile)
    pieces, are_bytes = stream_pieces(source)
    found: list[Finding] = []
    if are_bytes:
        checker = _ByteChecker(profile)
        for chunk in pieces:
            found += checker.feed(bytes(chunk))
        found += checker.finish()
        events = checker.event_checker
    else:
        events = EventSequenceChecker(profile)
        for item in pieces:
            found += events.feed(item)
        found += events.finish()
    if request is not None:
        request_value = body_value(request)
        found = without_echoed_values(found, request_value, "/response")
        found += _check_stream_against_request(request_value, events, profile)
    return _filter_trimmed(found, trimmed=trimmed)


class _ByteChecker:
    """Checks bytes as frames or JSON Lines: a `{` at the start means lines, since no frame starts so."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._undecided = bytearray()
        self._checker: ResponsesFramingChecker | JSONLinesChecker | None = None

    @property
    def event_checker(self) -> EventSequenceChecker:
        """The checker of the events."""
        return self._select_checker().event_checker

    def feed(self, chunk: bytes) -> list[Finding]:
        """Return the findings of the next bytes."""
        if self._checker is not None:
            return self._checker.feed(chunk)
        self._undecided += chunk
        return self._select_checker().feed(bytes(self._undecided)) if chunk.strip() else []

    def finish(self) -> list[Finding]:
        """Return the findings that only the end of the bytes shows."""
        if self._checker is None:
            self._select_checker().feed(bytes(self._undecided))
        return self._select_checker().finish()

    def _select_checker(self) -> ResponsesFramingChecker | JSONLinesChecker:
        if self._checker is None:
            lines = self._undecided.lstrip().startswith(b"{")
            self._checker = (
                JSONLinesChecker(self._profile) if lines else ResponsesFramingChecker(self._profile)
            )
        return self._checker


def _check_stream_against_request(
    request: Any, event_checker: EventSequenceChecker, profile: Profile
) -> list[Finding]:
    report = Report(profile.name)
    if isinstance(request, dict) and request.get("stream") is not True:
        report.add("SSE-006", "", "the request does not ask for a stream, but the answer is one")
    if event_checker.final_response is not None:
        check_against_request(event_checker.final_response, request, profile, report, "/response")
    return report.findings + report.omitted_findings()


def _resolve_profile(profile: str | Profile) -> Profile:
    return load_profile(profile) if isinstance(profile, str) else profile


def check_json_text(body: bytes) -> list[Finding]:
    """Check the text of a body alone: that it is JSON, and that no name occurs twice in an object."""
    return parse_body(body)[1]


def _filter_trimmed(findings: list[Finding], *, trimmed: bool) -> list[Finding]:
    return [each for each in findings if each.rule not in RULES_SKIPPED_WHEN_TRIMMED] if trimmed else findings
