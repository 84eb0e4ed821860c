"""Scripts from exchanges without one: read from a response body or from a recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.errors import EventTooLarge, InvalidJSON
from mockserver.exchanges import recorded_chunks
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, Usage, chunk_text
from mockserver.server.errors import ApiError
from mockserver.wire import json, sse

__all__ = ["error_from_failed_script", "script_from_reply"]

#: Events that end a stream and contain the whole response.
_TERMINAL_EVENTS = ("response.completed", "response.incomplete", "response.failed")


def script_from_reply(reply: Mapping[str, Any]) -> Script:
    """The script of an exchange's reply; ApiError if it is an error or not a response."""
    if "error" in reply:
        raise ApiError(reply["error"]["status"], reply["error"]["code"], reply["error"]["message"])
    status, value = (200, reply["body"]) if "body" in reply else _recorded_value(reply["http"])
    if not isinstance(value, Mapping) or (status < 400 and value.get("object") != "response"):
        message = "The exchange for this request holds no response that Chat Completions could render."
        raise ApiError(400, "InvalidParameter", message)
    error = value.get("error") or (value if status >= 400 else None)
    if error is not None:
        members = error if isinstance(error, Mapping) else {}
        raise _chat_failure(str(members.get("code")), str(members.get("message")), status)
    return _script_from_response(value)


def error_from_failed_script(script: Script) -> ApiError:
    """The error for a failed script: Chat has no failed completion."""
    error = script.error
    code, message = (error.code, error.message) if error else ("server_error", "The model failed.")
    return _chat_failure(code, message, 200)


def _chat_failure(code: str, message: str, status: int) -> ApiError:
    if status >= 400:
        return ApiError(status, code, message)
    if "rate limit" in message:
        return ApiError(429, "Throttling.RateQuota", message)
    return ApiError(400, "InvalidParameter" if code == "server_error" else code, message)


def _recorded_value(http: Mapping[str, Any]) -> tuple[int, Any]:
    """(status, value) of a recording: its JSON, or the response in its terminal event."""
    body = b"".join(data for _, data in recorded_chunks(http))
    try:
        return http["status"], json.loads(body)
    except InvalidJSON:
        return http["status"], _final_response(body)


def _final_response(body: bytes) -> Any:
    try:
        frames = sse.Decoder().feed(body)
        events = [
            json.loads(frame.data.encode()) for frame in frames if frame.data not in (None, sse.DONE_DATA)
        ]
    except (InvalidJSON, EventTooLarge, UnicodeEncodeError):
        return None
    terminal = (each for each in events if isinstance(each, dict) and each.get("type") in _TERMINAL_EVENTS)
    return next((each.get("response") for each in terminal), None)


def _script_from_response(response: Mapping[str, Any]) -> Script:
    output, usage = response.get("output"), response.get("usage")
    items = tuple(item for each in output for item in _script_items(each)) if isinstance(output, list) else ()
    status = "incomplete" if response.get("status") == "incomplete" else "completed"
    return Script(items, _usage(usage) if isinstance(usage, Mapping) else Usage(), status)


def _script_items(item: Any) -> Iterator[Item]:
    if not isinstance(item, Mapping):
        return
    if item.get("type") == "message":
        yield Message(chunk_text(_joined_text(item.get("content"))))
    elif item.get("type") == "reasoning":
        yield Reasoning(chunk_text(_joined_text(item.get("summary"))))
    elif item.get("type") == "function_call":
        call_id = item.get("call_id")
        arguments, name = str(item.get("arguments")), str(item.get("name"))
        yield FunctionCall(name, arguments, call_id if isinstance(call_id, str) and call_id else None)


def _joined_text(parts: Any) -> str:
    texts = (
        [part.get("text") for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
    )
    return "".join(text for text in texts if isinstance(text, str))


def _usage(usage: Mapping[str, Any]) -> Usage:
    details = usage.get("output_tokens_details")
    reasoning_tokens = details.get("reasoning_tokens") if isinstance(details, Mapping) else None
    return Usage(
        _token_count(usage.get("input_tokens")),
        _token_count(usage.get("output_tokens")),
        _token_count(reasoning_tokens),
        with_context=True,
    )


def _token_count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
