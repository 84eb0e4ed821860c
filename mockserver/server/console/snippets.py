"""A request of the journal as something to paste: a curl command, an exchange file, a test, a script."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pprint import pformat
from shlex import quote
from types import MappingProxyType
from typing import Any, NamedTuple

from mockserver.contract.detection import detect_content
from mockserver.reports.formatting import indent_json
from mockserver.server.journal_entries import incoming_request
from mockserver.server.state.journal import Entry
from mockserver.server.state.sessions import Session
from mockserver.wire import json, sse
from mockserver.wire.redaction import redact, redact_body

__all__ = ["SNIPPETS", "CopiedRequest", "read_request"]


class CopiedRequest(NamedTuple):
    """What a snippet needs to know of a request, without keys."""

    url: str
    """The base URL of the session."""
    path: str
    """The path below the base URL, or the whole path if it is not below it."""
    name: str
    """A name for the test or exchange."""
    body: Mapping[str, Any]
    prompt: str
    output: tuple[Mapping[str, Any], ...]
    """The output items of the reply."""
    profile: str


def read_request(session: Session, number: int, entry: Entry, server_url: str) -> CopiedRequest | None:
    """Read an entry; None if its body is not a JSON object."""
    body = json.loads_or_none(redact_body(entry.body.decode(errors="replace"), entry.secrets).encode())
    if not isinstance(body, dict):
        return None
    request = incoming_request(entry, session.profile)
    base = session.profile.base_path
    for each in session.profile.base_paths:
        base = each if entry.path.startswith(f"{each}/") else base
    prefix = server_url + ("" if session.name == "default" else f"/s/{session.name}")
    below = entry.path.startswith(f"{base}/")
    return CopiedRequest(
        prefix + base if below else prefix,
        entry.path.removeprefix(base) if below else entry.path,
        f"request_{number}",
        body,
        redact(entry.unmasked_prompt, entry.secrets) if request else "",
        tuple(
            _output_items(redact_body(b"".join(entry.reply).decode(errors="replace"), entry.secrets).encode())
        ),
        session.profile.name,
    )


def _output_items(reply: bytes) -> Iterator[Mapping[str, Any]]:
    """The output items of a reply of the Responses API; none for anything else."""
    value: Any = json.loads_or_none(reply)
    if value is None and detect_content(reply).kind == "stream":
        last = next((each.data for each in reversed(sse.decode_frames(reply)) if each.data), "")
        event = json.loads_or_none(last.encode())
        value = event.get("response") if isinstance(event, dict) else None
    output = value.get("output") if isinstance(value, dict) else None
    yield from (each for each in output or () if isinstance(each, dict))


def _message_text(output: tuple[Mapping[str, Any], ...]) -> str:
    parts = [part for item in output if item.get("type") == "message" for part in item.get("content") or ()]
    return "".join(part.get("text") or "" for part in parts if isinstance(part, dict))


def _curl(request: CopiedRequest) -> str:
    return (
        f"curl {quote(request.url + request.path)} \\\n"
        '  -H "Authorization: Bearer ${DASHSCOPE_API_KEY:-sk-mock}" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {quote(json.dumps(request.body).decode())}\n"
    )


def _exchange(request: CopiedRequest) -> str:
    """An exchange file that answers the same prompt with the same items."""
    exchange = {
        "format": 1,
        "name": request.name,
        "profile": request.profile,
        "request": request.body,
        "match": {"prompt": request.prompt} if request.prompt else {},
        "reply": {"script": {"items": [*_script_items(request.output)] or [_PLACEHOLDER]}},
    }
    return indent_json(json.dumps(exchange).decode()) + "\n"


_PLACEHOLDER = {"type": "message", "text": "Write the reply of the model here."}


def _script_items(output: tuple[Mapping[str, Any], ...]) -> Iterator[dict[str, Any]]:
    for item in output:
        if item.get("type") == "message":
            yield {"type": "message", "text": _message_text((item,))}
        elif item.get("type") == "function_call":
            yield {"type": "function_call", "name": item.get("name"), "arguments": item.get("arguments")}


def _pytest(request: CopiedRequest) -> str:
    """A test that passes: it configures the reply, sends the request and checks the reply."""
    calls = [item for item in request.output if item.get("type") == "function_call"]
    text = _message_text(request.output)
    replies = [f"FunctionCall({item['name']!r}, {item['arguments']!r})" for item in calls] or [repr(text)]
    lines = ["from mockserver import FunctionCall", "", ""] if calls else []
    lines += [
        f"def test_{request.name}(responses_server):",
        *([f"    responses_server.reply({', '.join(replies)})"] if calls or text else []),
        "    client = responses_server.httpx()",
        f"    body = {_python_value(request.body, 11)}",
        f"    reply = client.post({request.path!r}, json=body)",
        "    assert reply.status_code == 200, reply.text",
    ]
    for expected in [str(item["name"]) for item in calls] or [text] * bool(text):
        lines.append(f"    assert {_json_text(expected)!r} in reply.text")
    return _joined(lines)


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _json_text(text: str) -> str:
    """A text as it stands in JSON, without the quotation marks."""
    return json.dumps(text).decode()[1:-1]


def _python_value(value: Any, indent: int) -> str:
    return pformat(value, width=100, sort_dicts=False).replace("\n", "\n" + " " * indent)


def _python(request: CopiedRequest) -> str:
    return _joined(
        [
            "import os",
            "",
            "import httpx",
            "",
            f"body = {_python_value(request.body, 7)}",
            "headers = {\"authorization\": f\"Bearer {os.environ.get('DASHSCOPE_API_KEY', 'sk-mock')}\"}",
            f"reply = httpx.post({request.url + request.path!r}, json=body, headers=headers)",
            "print(reply.status_code)",
            "print(reply.text)",
        ]
    )


def _node(request: CopiedRequest) -> str:
    body = re.sub(r"(?m)^(?!\A)", "  ", indent_json(json.dumps(request.body).decode()))
    return _joined(
        [
            f"const reply = await fetch({json.dumps(request.url + request.path).decode()}, {{",
            '  method: "POST",',
            "  headers: {",
            '    authorization: `Bearer ${process.env.DASHSCOPE_API_KEY ?? "sk-mock"}`,',
            '    "content-type": "application/json",',
            "  },",
            f"  body: JSON.stringify({body}),",
            "});",
            "console.log(reply.status);",
            "console.log(await reply.text());",
        ]
    )


SNIPPETS: Mapping[str, Callable[[CopiedRequest], str]] = MappingProxyType(
    {"curl": _curl, "exchange": _exchange, "pytest": _pytest, "python": _python, "node": _node}
)
"""The snippets, by the name in the path."""
