"""Check a body or a stream against the contract: the five functions that everything else calls.

Each takes what crossed the wire (bytes, or the parsed value) and returns findings; none means that the
contract was kept. Only findings of severity `error` break it: see `contract.findings.errors`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import chain
from typing import Any

from mockserver.contract.findings import Finding
from mockserver.contract.frames import FrameChecker
from mockserver.contract.lines import LineChecker
from mockserver.contract.operations import bodies
from mockserver.contract.parsing import Body, parsed, value_of
from mockserver.contract.requests import RequestJudge
from mockserver.contract.responses import STATUSES, fits_request, output_rules, usage_rules
from mockserver.contract.rules import Report, finding
from mockserver.contract.schemas import schemas
from mockserver.contract.shapes import shape_findings
from mockserver.contract.stream import StreamChecker
from mockserver.errors import UnknownSchema
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile

__all__ = [
    "TRIMMED",
    "check_body",
    "check_error",
    "check_request",
    "check_response",
    "check_stream",
    "text_findings",
]

#: Rules that are about what is there no longer when a sample was shortened by hand: members, numbers,
#: events and pieces of text that were left out. A trimmed sample is not judged by them; by all others it is.
TRIMMED = frozenset(
    {
        *("SCH-002", "USE-004"),
        *("SEQ-002", "SEQ-004", "SEQ-006", "SEQ-008", "SEQ-013"),
        *("ITM-001", "ITM-002", "ITM-008", "ITM-012", "ITM-013", "ITM-015", "ITM-020"),
        *("TXT-001", "TXT-002", "TXT-003", "TXT-004", "TXT-006"),
    }
)

_OVER = frozenset({"completed", "failed", "incomplete"})


def check_request(
    body: Body, profile: str | Profile = DEFAULT_PROFILE, models: Container[str] | None = None
) -> list[Finding]:
    """Check the body of a create request.

    `models` are those that may be asked for; None means the profile's own.

    >>> for finding in check_request({"model": "qwen3-max-2026-01-23", "input": []}):
    ...     print(finding.rule, finding.pointer)
    REQ-001 /input
    """
    value, found = parsed(body)
    if found and value is None:
        return found
    return found + RequestJudge(_profile(profile), models).findings(value)


def check_response(
    body: Body, profile: str | Profile = DEFAULT_PROFILE, request: Body = None, *, trimmed: bool = False
) -> list[Finding]:
    """Check the body of an answer that was not streamed.

    With the `request` (bytes or value) also whether the answer fits it. `trimmed` judges a sample that
    was shortened by hand for what it still shows: see `TRIMMED`.
    """
    profile = _profile(profile)
    value, found = parsed(body)
    if found and value is None:
        return found
    report = Report(profile.name)
    report.found = found + shape_findings(schemas(profile.name), "response", value)
    if isinstance(value, dict):
        _response_rules(value, profile, report)
        asked = value_of(request)
        fits_request(value, asked, profile, report)
        if isinstance(asked, dict) and asked.get("stream") is True:
            report.say("SSE-006", "", "a stream was asked for, and JSON came")
    return _shown(report.found, trimmed=trimmed)


def _response_rules(response: dict[str, Any], profile: Profile, report: Report) -> None:
    status = response.get("status")
    if isinstance(status, str) and status in STATUSES - _OVER:
        message = "an answer that was not streamed is over"
        report.say("SEQ-009", "/status", message, expected="completed", got=status)
    if status == "completed" and response.get("model") == "":
        report.say("SEQ-011", "/model", "the model has no name at the end", got="")
    usage_rules(response, profile, report)
    output_rules(response, report)


def check_error(
    body: Body, profile: str | Profile = DEFAULT_PROFILE, status: int | None = None
) -> list[Finding]:
    """Check the body of a refused request: flat, or wrapped in `error`.

    With HTTP `status` 200 a failed response is also taken: the service reports some faults so (API
    reference, August 2026).
    """
    profile = _profile(profile)
    value, found = parsed(body)
    if found and value is None:
        return found
    known = schemas(profile.name)
    if isinstance(value, dict) and value.get("object") == "response":
        found += shape_findings(known, "response", value)
        if value.get("status") != "failed" or (status is not None and status >= 400):
            report = Report(profile.name)
            message = "a response object where an error was expected"
            report.say("SCH-001", "/object", message, got=value.get("status"))
            found += report.found
        return found
    if isinstance(value, dict) and not value.keys() & {"error", "code", "message"}:
        message = "no error envelope: neither {request_id, code, message} nor {error}"
        return [*found, finding("SCH-002", "", message, got=value)]
    wrapped = isinstance(value, dict) and "error" in value
    return found + shape_findings(known, "error_wrapped" if wrapped else "error", value)


def check_body(body: Body, kind: str, profile: str | Profile = DEFAULT_PROFILE) -> list[Finding]:
    """Check a body of one of the profile's other operations.

    `kind` is the name of its schema, as `contract.operations` has it: "input_items", "conversation",
    "models" and the like; UnknownSchema lists those of the profile.

    >>> check_body({"id": "resp_1", "deleted": True}, "deleted_response", "qwen-2026-05")
    []
    """
    profile = _profile(profile)
    if kind == "create_request":
        return check_request(body, profile)
    if kind == "response":
        return check_response(body, profile)
    known = sorted({*bodies(profile)})
    if kind not in known:
        raise UnknownSchema(f"{profile.name} has no body {kind!r}; there are: {', '.join(known)}")
    value, found = parsed(body)
    if found and value is None:
        return found
    found += shape_findings(schemas(profile.name), kind, value)
    if isinstance(value, dict) and isinstance(value.get("data"), list) and "first_id" in value:
        found += _page(value, profile)
    return found


def _page(page: dict[str, Any], profile: Profile) -> list[Finding]:
    """ITM-006 and SCH-001: no id twice, and first and last are those of the list."""
    report = Report(profile.name)
    ids = [each.get("id") for each in page["data"] if isinstance(each, dict)]
    for name, expected in (("first_id", ids[:1]), ("last_id", ids[-1:])):
        wanted = expected[0] if expected else None
        if page.get(name) != wanted:
            message = "is not the id of that item of the page"
            report.say("SCH-001", f"/{name}", message, expected=wanted, got=page.get(name))
    for index, given in enumerate(ids):
        if given in ids[:index]:
            report.say("ITM-006", f"/data/{index}/id", "another item has this id", got=given)
    return report.found


def check_stream(
    source: bytes | bytearray | memoryview | str | Iterable[Any],
    profile: str | Profile = DEFAULT_PROFILE,
    request: Body = None,
    *,
    trimmed: bool = False,
) -> list[Finding]:
    """Check a stream: its bytes or text, or an iterable of chunks of bytes or of parsed events.

    Bytes are server-sent events, or JSON Lines: one event a line. The findings are in the order of the
    events. `request` and `trimmed` as in `check_response`.

    >>> events = [{"type": "response.created", "sequence_number": 0}]
    >>> [finding.rule for finding in check_stream(events)]
    ['SCH-002', 'SEQ-006']
    """
    profile = _profile(profile)
    if isinstance(source, str):
        source = source.encode(errors="surrogatepass")
    if isinstance(source, bytes | bytearray | memoryview):
        source = [source]
    items = iter(source)
    first = list(_first(items))
    found: list[Finding] = []
    if first and isinstance(first[0], bytes | bytearray | memoryview):
        checker = _ByteChecker(profile)
        for chunk in chain(first, items):
            found += checker.feed(bytes(chunk))
        found += checker.finish()
        events = checker.events
    else:
        events = StreamChecker(profile)
        for item in chain(first, items):
            found += events.feed(item)
        found += events.finish()
    if request is not None:
        found += _answers(value_of(request), events, profile)
    return _shown(found, trimmed=trimmed)


class _ByteChecker:
    """Frames or lines: the first byte that is no space tells, for a frame never begins with a brace."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._head = b""
        self._chosen: FrameChecker | LineChecker | None = None

    @property
    def events(self) -> StreamChecker:
        """The judge of the events."""
        return self._choice().events

    def feed(self, chunk: bytes) -> list[Finding]:
        """The findings that the next bytes bring."""
        if self._chosen is not None:
            return self._chosen.feed(chunk)
        self._head += chunk
        return self._choice().feed(self._head) if self._head.strip() else []

    def finish(self) -> list[Finding]:
        """The findings that the end of the bytes brings."""
        if self._chosen is None:
            self._choice().feed(self._head)
        return self._choice().finish()

    def _choice(self) -> FrameChecker | LineChecker:
        if self._chosen is None:
            lines = self._head.lstrip().startswith(b"{")
            self._chosen = LineChecker(self._profile) if lines else FrameChecker(self._profile)
        return self._chosen


def _answers(request: Any, events: StreamChecker, profile: Profile) -> list[Finding]:
    report = Report(profile.name)
    if isinstance(request, dict) and request.get("stream") is not True:
        report.say("SSE-006", "", "no stream was asked for, and one came")
    if events.response is not None:
        fits_request(events.response, request, profile, report, "/response")
    return report.found


def _first(items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        yield item
        return


def _profile(profile: str | Profile) -> Profile:
    return load_profile(profile) if isinstance(profile, str) else profile


def text_findings(body: bytes) -> list[Finding]:
    """What the text of a body breaks, whatever its value: not JSON, or a name that is there twice."""
    return parsed(body)[1]


def _shown(found: list[Finding], *, trimmed: bool) -> list[Finding]:
    return [each for each in found if each.rule not in TRIMMED] if trimmed else found
