"""The traffic recorder: captures every byte that the server sends in a test, and checks it.

In this process it wraps the application. In server processes that a test starts, `tests/recorder` does the
same and saves the exchanges to a spool folder.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: The variable with the folder in which server processes save their exchanges.
SPOOL_VARIABLE = "MOCKSERVER_TEST_SPOOL"


@dataclass
class CapturedExchange:
    """One request and its reply, as bytes at the ASGI interface."""

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
        exchange = cls("", "")
        for name, value in json.loads(line).items():
            setattr(exchange, name, base64.b64decode(value) if name in ("request", "body") else value)
        return exchange


def record_application(application: Any, on_captured: Callable[[CapturedExchange], None]) -> None:
    """Make the application report each exchange."""
    inner = application.__call__

    async def recorded(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await inner(self, scope, receive, send)
            return
        exchange = CapturedExchange(scope["method"], scope["path"])
        request_chunks: list[bytes] = []
        reply_chunks: list[bytes] = []

        async def recording_receive() -> Any:
            message = await receive()
            request_chunks.append(message.get("body", b""))
            return message

        async def recording_send(message: Any) -> None:
            if "status" in message:
                exchange.status = message["status"]
                exchange.headers = {
                    name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]
                }
            if message["type"] != "http.response.start":
                reply_chunks.extend(message.get("pieces") or [message.get("body", b"")])
                exchange.is_complete = not message.get("more_body", False)
            await send(message)

        try:
            await inner(self, scope, recording_receive, recording_send)
        finally:
            exchange.request, exchange.body = b"".join(request_chunks), b"".join(reply_chunks)
            # The application strips a session's path prefix.
            exchange.path, exchange.profile = scope["path"], _profile_of(self, scope)
            # If a live endpoint replied: the server vouches only for its own replies.
            if "mockserver.fallback" not in scope:
                on_captured(exchange)

    application.__call__ = recorded
    _record_direct_replies(on_captured)


def _record_direct_replies(on_captured: Callable[[CapturedExchange], None]) -> None:
    """Report what is answered without the application, too."""
    from mockserver.server.http.direct_replies import DirectReplies, DirectReply, KnownHead

    inner = DirectReplies.reply_to

    def recorded(self: DirectReplies, head: KnownHead, body: bytes, client: Any) -> Any:
        reply = inner(self, head, body, client)
        return (
            report_later(self, head, body, reply)
            if asyncio.iscoroutine(reply)
            else report(self, head, body, reply)
        )

    async def report_later(self: DirectReplies, head: KnownHead, body: bytes, making: Any) -> Any:
        return report(self, head, body, await making)

    def report(self: DirectReplies, head: KnownHead, body: bytes, reply: Any) -> Any:
        if isinstance(reply, DirectReply):
            status_line, *lines = reply.head.decode("latin-1").split("\r\n")[:-2]
            exchange = CapturedExchange(
                head.scope["method"],
                head.scope["path"],
                request=body,
                status=int(status_line.split()[1]),
                headers=dict(line.split(": ", 1) for line in lines),
                body=b"".join(reply.pieces),
                is_complete=True,
                profile=self._services.default_session.profile.name,
            )
            on_captured(exchange)
        return reply

    DirectReplies.reply_to = recorded  # type: ignore[method-assign]


def _profile_of(application: Any, scope: Any) -> str:
    """The profile of the session that replied."""
    sessions, entry = application._services.sessions, scope.get("mockserver.entry")
    session = (sessions.get(entry.session) if entry else None) or sessions.default_session
    name: str = session.profile.name
    return name


def write_to_spool(exchange: CapturedExchange) -> None:
    """Append an exchange to this process's file in the spool folder."""
    with (Path(os.environ[SPOOL_VARIABLE]) / f"{os.getpid()}.jsonl").open("a") as file:
        file.write(exchange.to_line() + "\n")


def read_spool(folder: Path) -> list[CapturedExchange]:
    """Read and remove the exchanges that server processes saved; one that was killed may have begun another."""
    exchanges = []
    for file in sorted(folder.glob("*.jsonl")):
        *lines, _unfinished = file.read_text().split("\n")
        exchanges += [CapturedExchange.from_line(line) for line in lines]
        file.unlink()
    return exchanges


#: In the 503 of a server whose store a test has taken away.
_STORE_UNAVAILABLE = b"The store of this mock server is unavailable."

#: The mock's own paths: their replies are not part of the contract, but their errors are. The admin API has
#: schemas of its own.
_INTERNAL_PATHS = ("/health", "/ready", "/openapi.json")
_ADMIN_PATH_PREFIX = "/_mock/"
#: The console is a page: its errors for scripts are the API's, all else is its own.
_CONSOLE_PATH_PREFIX = "/_mock/console"


def contract_problems(exchange: CapturedExchange) -> list[str]:
    """Problems of an exchange: contract violations, and requirements of every reply."""
    from mockserver.contract.chat.service import CHAT_PATHS

    if exchange.status == 0 or (exchange.path in _INTERNAL_PATHS and exchange.status < 400):
        return []
    if exchange.path.startswith(_CONSOLE_PATH_PREFIX) and (
        exchange.status < 400 or exchange.headers.get("content-type") != "application/json"
    ):
        return []
    find = _chat_findings if exchange.path in CHAT_PATHS else _responses_findings
    if exchange.path.startswith(_ADMIN_PATH_PREFIX) and exchange.status < 400:
        find = _admin_problems
    problems = [] if _has_wire_fault(exchange) else [str(finding) for finding in find(exchange)]
    request_id = exchange.headers.get("x-request-id", "")
    if not request_id:
        problems.append("no x-request-id")
    if (
        exchange.status >= 400
        and not _has_wire_fault(exchange)
        and _request_id_in_body(exchange, request_id) != request_id
    ):
        problems.append("request_id in the body is not the header's")
    is_expected = "x-mock-fault" in exchange.headers or _STORE_UNAVAILABLE in exchange.body
    if exchange.status >= 500 and not is_expected:
        problems.append(f"status {exchange.status}")
    return [f"{exchange.method} {exchange.path} {exchange.status}: {problem}" for problem in problems]


def _has_wire_fault(exchange: CapturedExchange) -> bool:
    """Whether a wire fault was injected, or the content is invalid because a test asks for it.

    A rule fault must break only its rule.
    """
    from mockserver.server.delivery.faults.catalogue import wire_faults
    from mockserver.server.delivery.options import INVALID_CONTENT

    name = exchange.headers.get("x-mock-fault", "")
    return name in wire_faults() or name.split(", ")[0] == INVALID_CONTENT


def _request_id_in_body(exchange: CapturedExchange, default: str) -> Any:
    """The request id in an error's body; errors of retrieve, delete and other services have none."""
    from mockserver.profiles import load_profile

    body = json.loads(exchange.body)
    members = {"message", "type"} | (
        {"param", "code"} if load_profile(exchange.profile).error_types else set()
    )
    bare = set(body) == {"error"} and set(body["error"]) == members
    return default if bare else body.get("request_id")


def _parse_request_object(request: bytes) -> dict[str, Any]:
    """The request as a JSON object; empty if it is not one."""
    try:
        value = json.loads(request)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _responses_findings(exchange: CapturedExchange) -> list[Any]:
    from mockserver.contract.check import check_body, check_error, check_response, check_stream
    from mockserver.contract.findings import errors
    from mockserver.contract.operations import find_operation
    from mockserver.profiles import load_profile

    profile = load_profile(exchange.profile)
    if exchange.status >= 400:
        return errors(check_error(exchange.body, profile, status=exchange.status))
    method = "GET" if exchange.method == "HEAD" else exchange.method
    operation = find_operation(profile, method, exchange.path)
    if operation is None:
        return _extension_problems(exchange, profile)
    if operation.name != "createResponse":
        return errors(check_body(exchange.body, operation.response_schema, profile))
    request = _parse_request_object(exchange.request)
    if request.get("stream"):
        if not exchange.headers["content-type"].startswith("text/event-stream"):
            return ["the request was for a stream"]
        found = check_stream(exchange.body, profile, request) if exchange.is_complete else []
        return _without_requested_violation(exchange, found) if exchange.is_complete else []
    return _without_requested_violation(exchange, check_response(exchange.body, profile, request))


def _extension_problems(exchange: CapturedExchange, profile: Any) -> list[Any]:
    """Problems of a reply to an operation that the profile lacks: it is the mock's own, and marked, or a mistake."""
    from mockserver.contract.check import check_body
    from mockserver.contract.findings import errors
    from mockserver.contract.operations import mock_extensions
    from mockserver.profiles import load_profile

    for operation in mock_extensions(profile):
        if exchange.headers.get("x-mock-extension") == operation.name and exchange.path.endswith(
            operation.path
        ):
            return errors(check_body(exchange.body, operation.response_schema, load_profile("qwen-2026-05")))
    return [f"{profile.name} has no such operation"]


def _admin_problems(exchange: CapturedExchange) -> list[Any]:
    """Violations of the admin API's schemas, by the reference validator."""
    import jsonschema

    from mockserver import resources
    from mockserver.server.admin.operations import OPERATIONS

    steps = exchange.path.split("/")
    replies = [
        each.response_schema
        for each in OPERATIONS
        if each.method == ("GET" if exchange.method == "HEAD" else exchange.method)
        and len(each.path.split("/")) == len(steps)
        and all(
            one in (other, "{session}", "{stub}")
            for one, other in zip(each.path.split("/"), steps, strict=True)
        )
    ]
    if len(replies) != 1:
        return [f"no such operation in the admin API: {replies}"]
    schema = json.loads((resources.data_folder("schemas") / "admin.json").read_bytes())
    validator = jsonschema.Draft202012Validator({**schema, "$ref": f"#/$defs/{replies[0]}"})
    return [f"{each.json_path}: {each.message}" for each in validator.iter_errors(json.loads(exchange.body))]


def _chat_findings(exchange: CapturedExchange) -> list[Any]:
    from mockserver.contract.chat import check
    from mockserver.contract.findings import errors

    if exchange.status >= 400:
        return errors(check.check_chat_error(exchange.body))
    request = _parse_request_object(exchange.request)
    if not request.get("stream"):
        return _without_requested_violation(exchange, check.check_chat_completion(exchange.body, request))
    if not exchange.headers["content-type"].startswith("text/event-stream"):
        return ["the request was for a stream"]
    found = check.check_chat_stream(exchange.body, request) if exchange.is_complete else []
    return _without_requested_violation(exchange, found) if exchange.is_complete else []


def _without_requested_violation(exchange: CapturedExchange, findings: list[Any]) -> list[Any]:
    """The errors, except those of the rule that a fault breaks; reports a rule that is not broken."""
    from mockserver.contract.findings import errors
    from mockserver.contract.rules import load_rules

    rule = exchange.headers.get("x-mock-fault", "")
    if rule not in load_rules():
        return errors(findings)
    # A changed member no longer repeats the request's value, which is not a second violation.
    follows = "" if rule.startswith("REQ-") else "REQ-"
    others: list[Any] = [
        each
        for each in errors(findings)
        if each.rule != rule and not (follows and each.rule.startswith(follows))
    ]
    return others if any(each.rule == rule for each in findings) else [*others, f"{rule} is not broken"]
