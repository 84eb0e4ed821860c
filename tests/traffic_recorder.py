"""The recorder: every byte the server emits in a test, and the judge's word on it.

In this process the application is wrapped; in a server process that a test starts, `tests/recorder` does
the same and leaves what it recorded in a spool folder.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Where server processes leave their recordings.
SPOOL_VARIABLE = "MOCKSERVER_TEST_SPOOL"


@dataclass
class CapturedExchange:
    """One request and all that came back, as it crossed the application's door."""

    method: str
    path: str
    request: bytes = b""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_complete: bool = False
    profile: str = "qwen-2026-01"

    def to_line(self) -> str:
        """One line of JSON."""
        packed = {
            name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
            for name, value in vars(self).items()
        }
        return json.dumps(packed)

    @classmethod
    def from_line(cls, line: str) -> CapturedExchange:
        crossing = cls("", "")
        for name, value in json.loads(line).items():
            setattr(crossing, name, base64.b64decode(value) if name in ("request", "body") else value)
        return crossing


def record_application(application: Any, on_captured: Callable[[CapturedExchange], None]) -> None:
    """Make the application's door report each crossing."""
    inner = application.__call__

    async def recorded(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await inner(self, scope, receive, send)
            return
        crossing = CapturedExchange(scope["method"], scope["path"])
        asked: list[bytes] = []
        answered: list[bytes] = []

        async def recording_receive() -> Any:
            message = await receive()
            asked.append(message.get("body", b""))
            return message

        async def recording_send(message: Any) -> None:
            if message["type"] == "http.response.start":
                crossing.status = message["status"]
                crossing.headers = {
                    name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]
                }
            else:
                answered.append(message.get("body", b""))
                crossing.is_complete = not message.get("more_body", False)
            await send(message)

        try:
            await inner(self, scope, recording_receive, recording_send)
        finally:
            crossing.request, crossing.body = b"".join(asked), b"".join(answered)
            # Below a session's path the application takes the path for what comes behind that.
            crossing.path, crossing.profile = scope["path"], _profile_of(self, scope)
            on_captured(crossing)

    application.__call__ = recorded


def _profile_of(application: Any, scope: Any) -> str:
    """The age that the session plays which answered."""
    sessions, entry = application._services.sessions, scope.get("mockserver.entry")
    session = (sessions.get(entry.session) if entry else None) or sessions.default_session
    name: str = session.profile.name
    return name


def write_to_spool(crossing: CapturedExchange) -> None:
    """Append a crossing to this process's file in the spool folder."""
    with (Path(os.environ[SPOOL_VARIABLE]) / f"{os.getpid()}.jsonl").open("a") as file:
        file.write(crossing.to_line() + "\n")


def read_spool(folder: Path) -> list[CapturedExchange]:
    """What server processes left in a spool folder; it is empty afterwards."""
    crossings = []
    for file in sorted(folder.glob("*.jsonl")):
        crossings += [CapturedExchange.from_line(line) for line in file.read_text().splitlines()]
        file.unlink()
    return crossings


#: Paths that are the mock's own: what they answer is no part of the contract, but what they refuse is; the
#: admin API has schemas of its own.
_INTERNAL_PATHS = ("/health", "/openapi.json")
_ADMIN_PATH_PREFIX = "/_mock/"


def contract_problems(crossing: CapturedExchange) -> list[str]:
    """What is wrong with a crossing: the contract's errors, and what holds for every answer."""
    from mockserver.contract.chat.service import CHAT_PATHS

    if crossing.status == 0 or (crossing.path in _INTERNAL_PATHS and crossing.status < 400):
        return []
    find = _chat_findings if crossing.path in CHAT_PATHS else _responses_findings
    if crossing.path.startswith(_ADMIN_PATH_PREFIX) and crossing.status < 400:
        find = _admin_problems
    problems = [] if _has_wire_fault(crossing) else [str(finding) for finding in find(crossing)]
    request_id = crossing.headers.get("x-request-id", "")
    if not request_id:
        problems.append("no x-request-id")
    if (
        crossing.status >= 400
        and not _has_wire_fault(crossing)
        and _request_id_in_body(crossing, request_id) != request_id
    ):
        problems.append("request_id in the body is not the header's")
    if crossing.status >= 500 and "x-mock-fault" not in crossing.headers:
        problems.append(f"status {crossing.status}")
    return [f"{crossing.method} {crossing.path} {crossing.status}: {problem}" for problem in problems]


def _has_wire_fault(crossing: CapturedExchange) -> bool:
    """Whether the answer was broken on the wire by name; one that breaks a rule must break just that."""
    from mockserver.server.delivery.faults import wire_faults

    return crossing.headers.get("x-mock-fault") in wire_faults()


def _request_id_in_body(crossing: CapturedExchange, default: str) -> Any:
    """The request id in an error's body; those of retrieve, delete and of other services have none."""
    from mockserver.profiles import load_profile

    body = json.loads(crossing.body)
    members = {"message", "type"} | (
        {"param", "code"} if load_profile(crossing.profile).error_types else set()
    )
    bare = set(body) == {"error"} and set(body["error"]) == members
    return default if bare else body.get("request_id")


def _parse_request_object(request: bytes) -> dict[str, Any]:
    """A request's value; none of one that asked for a fault and nothing else."""
    try:
        value = json.loads(request)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _responses_findings(crossing: CapturedExchange) -> list[Any]:
    from mockserver.contract.check import check_body, check_error, check_response, check_stream
    from mockserver.contract.findings import errors
    from mockserver.contract.operations import find_operation
    from mockserver.profiles import load_profile

    profile = load_profile(crossing.profile)
    if crossing.status >= 400:
        return errors(check_error(crossing.body, profile, status=crossing.status))
    method = "GET" if crossing.method == "HEAD" else crossing.method
    operation = find_operation(profile, method, crossing.path)
    if operation is None:
        return [f"{profile.name} has no such operation"]
    if operation.name != "createResponse":
        return errors(check_body(crossing.body, operation.response_schema, profile))
    request = _parse_request_object(crossing.request)
    if request.get("stream"):
        if not crossing.headers["content-type"].startswith("text/event-stream"):
            return ["a stream was asked for"]
        found = check_stream(crossing.body, profile, request) if crossing.is_complete else []
        return _without_requested_violation(crossing, found) if crossing.is_complete else []
    return _without_requested_violation(crossing, check_response(crossing.body, profile, request))


def _admin_problems(crossing: CapturedExchange) -> list[Any]:
    """What the schemas of the admin API say of an answer of its, by the reference validator."""
    import jsonschema

    from mockserver import resources
    from mockserver.server.admin.operations import OPERATIONS

    steps = crossing.path.split("/")
    replies = [
        each.response_schema
        for each in OPERATIONS
        if each.method == ("GET" if crossing.method == "HEAD" else crossing.method)
        and len(each.path.split("/")) == len(steps)
        and all(one in (other, "{session}") for one, other in zip(each.path.split("/"), steps, strict=True))
    ]
    if len(replies) != 1:
        return [f"the admin API has no such operation: {replies}"]
    schema = json.loads((resources.data_folder("schemas") / "admin.json").read_bytes())
    judge = jsonschema.Draft202012Validator({**schema, "$ref": f"#/$defs/{replies[0]}"})
    return [f"{each.json_path}: {each.message}" for each in judge.iter_errors(json.loads(crossing.body))]


def _chat_findings(crossing: CapturedExchange) -> list[Any]:
    from mockserver.contract.chat import check
    from mockserver.contract.findings import errors

    if crossing.status >= 400:
        return errors(check.check_chat_error(crossing.body))
    request = _parse_request_object(crossing.request)
    if not request.get("stream"):
        return _without_requested_violation(crossing, check.check_chat_completion(crossing.body, request))
    if not crossing.headers["content-type"].startswith("text/event-stream"):
        return ["a stream was asked for"]
    found = check.check_chat_stream(crossing.body, request) if crossing.is_complete else []
    return _without_requested_violation(crossing, found) if crossing.is_complete else []


def _without_requested_violation(crossing: CapturedExchange, findings: list[Any]) -> list[Any]:
    """The errors; where a rule was to be broken, what else is found, and that it is not."""
    from mockserver.contract.findings import errors
    from mockserver.contract.rules import load_rules

    rule = crossing.headers.get("x-mock-fault", "")
    if rule not in load_rules():
        return errors(findings)
    # An answer whose own members were changed no longer says what its request said: that is no second breach.
    follows = "" if rule.startswith("REQ-") else "REQ-"
    others: list[Any] = [
        each
        for each in errors(findings)
        if each.rule != rule and not (follows and each.rule.startswith(follows))
    ]
    return others if any(each.rule == rule for each in findings) else [*others, f"{rule} is not broken"]
