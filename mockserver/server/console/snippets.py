"""A request of the journal as something to paste: a curl command, an exchange file, a test, a script."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pprint import pformat
from shlex import quote
from types import MappingProxyType
from typing import Any

from mockserver.profiles import DEFAULT_PROFILE
from mockserver.reports.formatting import indent_json
from mockserver.server.console.copied_requests import CopiedRequest
from mockserver.wire import json

__all__ = ["SNIPPETS"]


#: A longer argument is refused: Linux takes 128 KiB.
_MAX_ARGUMENT_BYTES = 100_000


def _curl(request: CopiedRequest) -> str:
    body = json.dumps(request.body).decode()
    data = f"-d {quote(body)}\n"
    if len(data.encode()) > _MAX_ARGUMENT_BYTES:  # JSON is one line, and no line of it is the mark
        data = f"-d @- <<'END'\n{body}\nEND\n"
    return (
        f"curl {quote(request.url + request.path)} \\\n"
        '  -H "Authorization: Bearer ${DASHSCOPE_API_KEY:-sk-mock}" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  {data}"
    )


def _exchange(request: CopiedRequest) -> str:
    """An exchange file that gives the same answer to the same prompt."""
    exchange = {
        "format": 1,
        "name": request.name,
        "profile": request.profile,
        "request": request.body,
        **({"match": request.prompt} if request.prompt else {}),
        "reply": request.reply.content,
        **({"delivery": request.reply.delivery} if request.reply.delivery else {}),
    }
    return indent_json(json.dumps(exchange).decode()) + "\n"


def _pytest(request: CopiedRequest) -> str:
    """A test that passes: it configures the reply, sends the request and checks the reply."""
    reply = _python_reply(request.reply.content)
    before = _earlier_turn(request)
    body = [
        *([] if request.is_refused else [f"    responses_server.reply({reply})"]),
        f"    body = {_python_value(request.body, 11)}",
        *(["    body['previous_response_id'] = earlier['id']"] if before else []),
        f"    reply = client.post({_path_in_test(request)!r}, json=body)",
        f"    assert reply.status_code == {request.reply.status}, reply.text",
        *_assertions(request),
    ]
    chat = "base_url=responses_server.chat_base_url" if request.is_chat else ""
    mark = _mark(request)
    uses_calls = any("FunctionCall(" in each for each in (reply * (not request.is_refused), *before))
    imports = [
        *(["import pytest"] if mark else []),
        *(["from mockserver import FunctionCall"] if uses_calls else []),
    ]
    return _joined(
        [
            *"\n\n".join(imports).splitlines(),
            *([""] * 2 if imports else []),
            *mark,
            f"def test_{request.name}(responses_server):",
            f"    client = responses_server.httpx({chat})",
            *before,
            *body,
        ]
    )


def _mark(request: CopiedRequest) -> list[str]:
    """The decorator for a test of another profile, or of a request that violates the contract."""
    arguments = [f"profile={request.profile!r}"] if request.profile != DEFAULT_PROFILE else []
    arguments += [f"allow={[*request.broken_rules]!r}"] if request.broken_rules else []
    return [f"@pytest.mark.responses({', '.join(arguments)})"] if arguments else []


def _path_in_test(request: CopiedRequest) -> str:
    return "/chat/completions" if request.is_chat else request.path


def _earlier_turn(request: CopiedRequest) -> list[str]:
    """Lines that make the turn which the request continues."""
    if not isinstance(request.body.get("previous_response_id"), str):
        return []
    items = request.body.get("input")
    outputs = [
        each["call_id"]
        for each in (items if isinstance(items, list) else ())
        if isinstance(each, dict) and each.get("type") == "function_call_output" and "call_id" in each
    ]
    calls = [f"FunctionCall('an_earlier_call', '{{}}', {each!r})" for each in outputs]
    body = {"model": request.body.get("model"), "input": "The turn before."}
    return [
        f"    responses_server.reply({', '.join(calls) or repr('The reply before.')})",
        f"    earlier = client.post({request.path!r}, json={body!r}).json()",
    ]


def _python_reply(content: Any) -> str:
    """The arguments of `reply()`: a text, calls of functions, or an object as in a file."""
    is_script = isinstance(content, dict) and [*content] == ["script"]
    items = [*map(_with_text, content["script"]["items"])] if is_script else []
    if items and [*content["script"]] == ["items"]:
        if len(items) == 1 and items[0]["type"] == "message":
            return repr(items[0]["text"])
        if all(each["type"] == "function_call" for each in items):
            return ", ".join(f"FunctionCall({each['name']!r}, {each['arguments']!r})" for each in items)
        return _python_value(items, 27)
    return _python_value(content, 27)


def _with_text(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item without the pieces in which a stream sent its text."""
    text = {"text": "".join(item["chunks"])} if "chunks" in item else {}
    return {**{name: each for name, each in item.items() if name != "chunks"}, **text}


def _assertions(request: CopiedRequest) -> Iterator[str]:
    # The chunks of a completion cut its text, and the reasons of an error are the service's.
    if request.is_chat or request.is_refused:
        return
    for text in filter(None, request.reply.texts):
        yield f"    assert {_json_text(text)!r} in reply.text"


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
