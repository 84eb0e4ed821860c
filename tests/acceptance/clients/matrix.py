"""Which client supports which scenario, and what its user sees; shared by tests and docs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLIENTS_FOLDER = Path(__file__).parent
ENVIRONMENT_DEFINITIONS = CLIENTS_FOLDER.parent.parent / "environments"

#: Descriptions of the scenarios, in the order of the tables.
SCENARIOS = {
    "basic": "one prompt and its reply",
    "messages": "an array of messages, with a system message",
    "two_turns": "a second turn that continues the first",
    "history": "a second turn that sends the whole history",
    "stream": "a streamed reply",
    "native_stream": "the same, for a model that the client knows to support streaming",
    "helper": "the client's stream helper",
    "tools": "web_search, web_extractor and code_interpreter, with thinking",
    "tools_stream": "the same in a stream",
    "tools_as_dicts": "the same, with code that accepts plain dicts",
    "native_tools_stream": "the tools in a stream, for a model that the client knows to support streaming",
    "helper_tools": "the tools, with the client's stream helper",
    "search_stream": "only web_search and web_extractor, in a stream",
    "own_tools": "the client's own classes for web_search and code_interpreter",
    "bind_extractor": "web_extractor with the client's `bind_tools`",
    "function": "a function call, its output and the final reply",
    "function_stream": "the same in streams",
    "structured": "structured output by `text.format`",
    "structured_function": "structured output by a function",
    "wrong_key": "a key that is not accepted",
    "unknown_model": "a model that is not served",
    "cancel": "a stream closed at its first delta, then another request",
    "async": "a reply and a stream at once",
}

Observation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Client:
    """One version of one client, in an environment of its own."""

    environment: str
    title: str
    package: str
    driver: str
    """A file in this folder."""
    expected: Mapping[str, Observation]
    """By scenario: what the user sees; every generated text is called "generated"."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Notes by scenario."""
    limits: tuple[str, ...] = ()
    """Other limits."""
    snippet: str | None = None
    """The file with the snippet, if it is not the driver."""
    companion_packages: tuple[str, ...] = ()
    """Other packages whose version matters."""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    expected_refusals: int = 1
    """Requests that fail for a wrong key: more than one if the client retries."""

    expected_streams: int | None = None
    """Streaming requests, if the client does not stream whenever its user does."""

    @property
    def version(self) -> str:
        return locked_version(self.environment, self.package)


def locked_version(environment: str, package: str) -> str:
    """The version of a package in an environment's lock."""
    folder = ENVIRONMENT_DEFINITIONS / environment
    lock = folder / "package-lock.json"
    if lock.exists():
        packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
        return str(packages[f"node_modules/{package}"]["version"])
    text = (folder / "requirements.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(package)}==(\S+)", text, re.MULTILINE)
    assert found is not None, f"{package} is not locked in {environment}"
    return found[1]


def answer(text: str, items: str, **more: Any) -> Observation:
    return {"text": text, "items": items.split(), **more}


def failure(error: str, message: str, **more: Any) -> Observation:
    return {"error": error, "message": message, **more}


WEATHER_CALL = ["get_weather(city)"]
TOOL_ITEMS = "reasoning web_search_call reasoning web_extractor_call reasoning code_interpreter_call message"
IGNORES_FORMAT = (
    "January's service ignores `text.format` and answers with plain text, which the client cannot read"
)

_openai: dict[str, Observation] = {
    "basic": answer("introduction", "message"),
    "messages": answer("hello-messages", "message"),
    "two_turns": answer("my-name", "message"),
    "stream": answer("artificial-intelligence", "message"),
    "helper": answer("artificial-intelligence", "message"),
    "tools": answer("generated", TOOL_ITEMS),
    "tools_stream": answer("generated", TOOL_ITEMS),
    "helper_tools": answer("generated", TOOL_ITEMS),
    "function": answer("generated", "message", calls=WEATHER_CALL),
    "function_stream": answer("generated", "message", calls=WEATHER_CALL),
    "cancel": answer("introduction", "message", deltas=1),
    "async": {"texts": ["introduction", "artificial-intelligence"]},
}

_openai_python: dict[str, Observation] = {
    **_openai,
    "structured": failure(
        "ValidationError",
        "1 validation error for City Invalid JSON: expected value at line 1 column 1 "
        "[type=json_invalid, input_value=…, input_type=str]",
    ),
}
_WRONG_KEY = "Invalid API-key provided."
_UNKNOWN_MODEL = "Unsupported model: 'gpt-5'."
_REFUSED_IN_SHORT: dict[str, Observation] = {
    "wrong_key": failure(
        "AuthenticationError", f"Error code: 401 - {_WRONG_KEY}", status=401, code="InvalidApiKey"
    ),
    "unknown_model": failure(
        "BadRequestError", f"Error code: 400 - {_UNKNOWN_MODEL}", status=400, code="InvalidParameter"
    ),
}
_KEY_BODY = f"{{'code': 'InvalidApiKey', 'message': '{_WRONG_KEY}', 'request_id': '<id>'}}"
_MODEL_BODY = f"{{'code': 'InvalidParameter', 'message': \"{_UNKNOWN_MODEL}\", 'request_id': '<id>'}}"
_REFUSED_WITH_BODY: dict[str, Observation] = {
    "wrong_key": failure(
        "AuthenticationError", f"Error code: 401 - {_KEY_BODY}", status=401, code="InvalidApiKey"
    ),
    "unknown_model": failure(
        "BadRequestError", f"Error code: 400 - {_MODEL_BODY}", status=400, code="InvalidParameter"
    ),
}
_KEY_JSON = f'{{"code":"InvalidApiKey","message":"{_WRONG_KEY}","request_id":"<id>"}}'
_MODEL_JSON = f'{{"code":"InvalidParameter","message":"{_UNKNOWN_MODEL}","request_id":"<id>"}}'

_openai_python_notes = {"structured": IGNORES_FORMAT}
_AS_MESSAGE = (
    "The client does not know `web_extractor_call` and returns a `ResponseOutputMessage` with `content` None: "
    "check `item.type`, not the class. `model_dump` of a reply may warn about it."
)

_openai_node: dict[str, Observation] = {
    **_openai,
    "helper_tools": failure("OpenAIError", "missing content at index 0"),
    "structured": failure("SyntaxError", "Unexpected token …, … is not valid JSON"),
}
_openai_node_notes = {
    "structured": IGNORES_FORMAT,
    "helper_tools": "`responses.stream()` requires part events around reasoning deltas, which the "
    "service does not send; `create` with `stream: true` reads them",
}

_agents: dict[str, Observation] = {
    **{name: sees for name, sees in _openai.items() if not name.startswith("helper")},
    "function": answer("generated", "function_call function_call_output message", calls=WEATHER_CALL),
    "function_stream": answer("generated", "function_call function_call_output message", calls=WEATHER_CALL),
    "structured": failure("ModelBehaviorError", "Invalid JSON when parsing model output"),
    **_REFUSED_IN_SHORT,
}

_LANGCHAIN_ITEMS = "reasoning web_search_call reasoning reasoning code_interpreter_call text"
_langchain: dict[str, Observation] = {
    "basic": answer("introduction", "text"),
    "messages": answer("hello-messages", "text"),
    "two_turns": answer("my-name", "text"),
    "stream": answer("artificial-intelligence", "text"),
    "tools": answer("generated", _LANGCHAIN_ITEMS),
    "tools_stream": answer("generated", _LANGCHAIN_ITEMS),
    "bind_extractor": failure(
        "ValueError",
        "Unsupported function {'type': 'web_extractor'} To use a JSON schema as a function, it must have a "
        "top-level 'title' key to be used as the function name.",
    ),
    "function": answer("generated", "text", calls=WEATHER_CALL),
    "function_stream": answer("generated", "text", calls=WEATHER_CALL),
    "structured": _openai_python["structured"],
    "structured_function": {"value": "City(city, population)"},
    "wrong_key": {**_REFUSED_IN_SHORT["wrong_key"], "error": "OpenAIAuthenticationError"},
    "unknown_model": {**_REFUSED_IN_SHORT["unknown_model"], "error": "OpenAIInvalidRequestError"},
    "cancel": answer("introduction", "text", deltas=1),
    "async": _openai["async"],
}

_pydantic_ai: dict[str, Observation] = {
    "basic": answer("introduction", "text"),
    "messages": answer("hello-messages", "text"),
    "two_turns": answer("my-name", "text"),
    "stream": answer("artificial-intelligence", "text"),
    "tools": failure("TypeError", "'NoneType' object is not iterable"),
    "tools_stream": answer(
        "generated",
        "thinking builtin-tool-call builtin-tool-return thinking thinking builtin-tool-call "
        "builtin-tool-return text",
    ),
    "function": answer("generated", "tool-call text", calls=WEATHER_CALL),
    "function_stream": answer("generated", "text", calls=WEATHER_CALL),
    "structured": failure("UnexpectedModelBehavior", "Exceeded maximum output retries (1)"),
    "structured_function": {"value": "City(city, population)"},
    "wrong_key": failure(
        "ModelAuthenticationError",
        f"status_code: 401, model_name: qwen3-max-2026-01-23, body: {_KEY_BODY}",
        status=401,
    ),
    "unknown_model": failure(
        "ModelRequestRejectedError", f"status_code: 400, model_name: gpt-5, body: {_MODEL_BODY}", status=400
    ),
    "cancel": answer("introduction", "text", deltas=1),
    "async": _openai["async"],
}

_litellm: dict[str, Observation] = {
    **{name: sees for name, sees in _openai.items() if not name.startswith("helper")},
    "native_stream": _openai["stream"],
    "tools": failure("AttributeError", "'dict' object has no attribute 'type'"),
    "tools_as_dicts": answer("generated", TOOL_ITEMS, dicts=["web_extractor_call"]),
    "native_tools_stream": answer("generated", TOOL_ITEMS),
    "structured": answer("generated", "message"),
    "wrong_key": failure(
        "AuthenticationError",
        f"litellm.AuthenticationError: AuthenticationError: OpenAIException - {_KEY_JSON}",
        status=401,
    ),
    "unknown_model": failure(
        "BadRequestError", f"litellm.BadRequestError: OpenAIException - {_MODEL_JSON}", status=400
    ),
}

_ai_sdk: dict[str, Observation] = {
    "basic": answer("introduction", "text"),
    "messages": answer("hello-messages", "text"),
    "two_turns": answer("my-name", "text"),
    "history": answer("generated", "text"),
    "stream": answer("artificial-intelligence", "text"),
    "tools": failure("APICallError", "Invalid JSON response", status=200),
    "tools_stream": failure(
        "TypeValidationError", "item.outputs: Invalid input: expected array, received undefined"
    ),
    "search_stream": answer("generated", "reasoning tool-call tool-result source source reasoning text"),
    "own_tools": failure("APICallError", "Bad Request", status=400),
    "function": answer("generated", "tool-call tool-result text", calls=WEATHER_CALL),
    "function_stream": answer("generated", "tool-call tool-result text", calls=WEATHER_CALL),
    "structured": failure("NoObjectGeneratedError", "No object generated: could not parse the response."),
    "wrong_key": failure("APICallError", "Unauthorized", status=401),
    "unknown_model": failure("APICallError", "Bad Request", status=400),
    "cancel": answer("introduction", "text", deltas=1),
    "async": _openai["async"],
}

_SHELL_RUN = answer("generated", "web_search command_execution agent_message", exit_codes=[0], exit=0)
_codex: dict[str, Observation] = {
    "basic": _SHELL_RUN,
    "two_turns": _SHELL_RUN,
    "structured": _SHELL_RUN,
    "wrong_key": failure(
        "turn.failed",
        f"unexpected status 401 Unauthorized: {_KEY_JSON}, url: <base URL>/responses, request id: <id>",
        items=[],
        exit=1,
    ),
    "unknown_model": failure("turn.failed", _MODEL_JSON, items=[], exit=1),
    "cancel": {**_SHELL_RUN, "deltas": 1},
}

_LEFT_OPEN = (
    "Read a stream to its end or `close()` it: a half-read stream can lock up the whole client when it is "
    "garbage-collected (in httpcore's connection pool)."
)


_CODEX_RUNS = (
    "Codex declares its tools in each request, so the mock always calls one: the shell tool, with "
    "a harmless command, which Codex runs in its read-only sandbox."
)


def _openai_python_client(environment: str, refused: Mapping[str, Observation], *limits: str) -> Client:
    return Client(
        environment,
        "openai (Python)",
        "openai",
        "openai_python.py",
        {**_openai_python, **refused},
        _openai_python_notes,
        (_AS_MESSAGE, *limits),
    )


CLIENTS = (
    _openai_python_client(
        "openai-newest",
        _REFUSED_IN_SHORT,
        "It uses `httpx2`, so tools that intercept httpx do not see it. The mock is a real server.",
    ),
    _openai_python_client("openai-2", _REFUSED_WITH_BODY),
    _openai_python_client("openai-2.15.0", _REFUSED_WITH_BODY),
    _openai_python_client("openai-1", _REFUSED_WITH_BODY, _LEFT_OPEN),
    Client(
        "node",
        "openai (Node)",
        "openai",
        "openai_node.mjs",
        {
            **_openai_node,
            "wrong_key": failure(
                "AuthenticationError", f"401 {_WRONG_KEY}", status=401, code="InvalidApiKey"
            ),
            "unknown_model": failure(
                "BadRequestError", f"400 {_UNKNOWN_MODEL}", status=400, code="InvalidParameter"
            ),
        },
        _openai_node_notes,
        ("The package requires Node 22 but also runs on Node 20.",),
    ),
    Client(
        "node-6",
        "openai (Node)",
        "openai",
        "openai_node.mjs",
        {
            **_openai_node,
            "wrong_key": failure("AuthenticationError", "401 status code (no body)", status=401),
            "unknown_model": failure("BadRequestError", "400 status code (no body)", status=400),
        },
        {
            **_openai_node_notes,
            "wrong_key": "code and message are lost: the client looks for them in a member `error`, and the "
            "service's envelope is flat",
            "unknown_model": "as with a wrong key, code and message are lost",
        },
    ),
    Client(
        "openai-agents",
        "openai-agents",
        "openai-agents",
        "openai_agents.py",
        _agents,
        {
            "structured": IGNORES_FORMAT,
            "tools": "there is no class for `web_extractor`; pass the tools in `extra_body`",
        },
        companion_packages=("openai",),
    ),
    Client(
        "langchain-openai",
        "langchain-openai",
        "langchain-openai",
        "langchain_openai.py",
        _langchain,
        {
            "structured": IGNORES_FORMAT + '; `method="function_calling"` works',
            "tools": "the message has no block for `web_extractor_call` and omits it",
            "tools_stream": "the message has no block for `web_extractor_call` and omits it",
            "bind_extractor": "`bind(tools=[…])` passes it on",
        },
        companion_packages=("openai",),
    ),
    Client(
        "pydantic-ai",
        "pydantic-ai",
        "pydantic-ai-slim",
        "pydantic_ai.py",
        _pydantic_ai,
        {
            "structured": IGNORES_FORMAT + "; the default, a function, works",
            "tools": "the client takes a `web_extractor_call` for a message and reads its `content`, which "
            "is None; in a stream it skips it",
            "function_stream": "the parts are those of the last answer",
        },
        companion_packages=("openai",),
    ),
    Client(
        "litellm",
        "litellm",
        "litellm",
        "litellm.py",
        _litellm,
        {
            "stream": "for a model that it does not know, litellm requests a whole reply and splits it itself",
            "tools_stream": "also requested without streaming",
            "tools": "a `web_extractor_call` comes as a plain dict, so `item.type` fails in the user's code",
            "structured": "the text is returned unchanged; January's service ignores `text.format`",
        },
        (
            "`litellm.responses` needs the package `mcp`, which litellm does not install automatically.",
            "At import it fetches a price list from the network, unless `LITELLM_LOCAL_MODEL_COST_MAP=True`.",
        ),
        environment_variables={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        expected_streams=2,
    ),
    Client(
        "ai-sdk",
        "Vercel AI SDK",
        "@ai-sdk/openai",
        "ai_sdk.mjs",
        _ai_sdk,
        {
            "history": "the first reply is sent as an `item_reference`",
            "structured": IGNORES_FORMAT,
            "tools": "the client does not know `web_extractor_call` and rejects the whole reply",
            "tools_stream": "the client requires `outputs` in a `code_interpreter_call` that has just begun; "
            "the service sends them when it is done",
            "own_tools": "the service runs `code_interpreter` with `enable_thinking` only, which the client "
            "has no option for; a custom `fetch` can add it to the body",
            "wrong_key": "code and message are lost: the client looks for them in a member `error`, and the "
            "service's envelope is flat",
            "unknown_model": "as with a wrong key, code and message are lost",
        },
        ("The packages require Node 22 but also run on Node 20.",),
        companion_packages=("ai",),
    ),
    Client(
        "codex",
        "Codex CLI",
        "@openai/codex",
        "codex.py",
        _codex,
        {
            "basic": "a stream with a search and a call of its shell tool, the tool's output in a second "
            "request, then the reply",
            "two_turns": "`codex exec resume --last`; Codex sends the whole history itself",
            "structured": "`--output-schema`: the reply is plain text, printed unchanged; January's service "
            "ignores `text.format`",
            "wrong_key": "after five retries",
            "cancel": "Codex is stopped in the middle of its turn",
        },
        (
            _CODEX_RUNS,
            "It always streams; its only built-in tool of the service is `web_search`.",
        ),
        snippet="codex.toml",
        expected_refusals=6,
    ),
)
