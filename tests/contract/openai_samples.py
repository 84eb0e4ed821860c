"""Complete streams in the form of OpenAI's service, by the types of openai-python 3.54.0.

They are built, so that each can be damaged at a known place; recordings are judged in `tests/acceptance`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.wire import json

Event = dict[str, Any]

HEX = "68a1b2c3d4e5f60718293a4b5c6d7e8f0123456789abcdef"
MODEL = "gpt-5.1-2025-11-13"

USAGE = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 123,
}


def snapshot(status: str, output: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """A response with every member that the service sends."""
    return {
        "id": f"resp_{HEX}",
        "object": "response",
        "created_at": 1763942400,
        "status": status,
        "background": False,
        "completed_at": 1763942403 if status == "completed" else None,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": MODEL,
        "output": output or [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"effort": "low", "summary": "detailed"},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [{"type": "web_search", "search_context_size": "medium", "user_location": None}],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE if status in ("completed", "incomplete") else None,
        "user": None,
        "metadata": {},
        **more,
    }


def added(index: int, item: Event) -> Event:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, item: Event) -> Event:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def message(index: int, pieces: list[str], status: str = "completed", **more: Any) -> Iterator[Event]:
    text = "".join(pieces)
    annotations = more.pop("annotations", [])
    item = {"id": f"msg_{index}{HEX[1:]}", "type": "message", "role": "assistant", **more}
    about = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    yield added(index, {**item, "status": "in_progress", "content": []})
    yield {"type": "response.content_part.added", **about, "part": part}
    for piece in pieces:
        yield {
            "type": "response.output_text.delta", **about, "delta": piece, "logprobs": [], "obfuscation": "aB"
        }  # fmt: skip
    for number, annotation in enumerate(annotations):
        about_it = {"annotation_index": number, "annotation": annotation}
        yield {"type": "response.output_text.annotation.added", **about, **about_it}
    part = {**part, "text": text, "annotations": annotations}
    yield {"type": "response.output_text.done", **about, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **about, "part": part}
    yield done(index, {**item, "status": status, "content": [part]})


def refusal(index: int, pieces: list[str]) -> Iterator[Event]:
    text = "".join(pieces)
    item = {"id": f"msg_{index}{HEX[1:]}", "type": "message", "role": "assistant"}
    about = {"item_id": item["id"], "output_index": index, "content_index": 0}
    yield added(index, {**item, "status": "in_progress", "content": []})
    yield {"type": "response.content_part.added", **about, "part": {"type": "refusal", "refusal": ""}}
    for piece in pieces:
        yield {"type": "response.refusal.delta", **about, "delta": piece}
    yield {"type": "response.refusal.done", **about, "refusal": text}
    part = {"type": "refusal", "refusal": text}
    yield {"type": "response.content_part.done", **about, "part": part}
    yield done(index, {**item, "status": "completed", "content": [part]})


def reasoning(index: int, summaries: list[list[str]]) -> Iterator[Event]:
    item: Event = {"id": f"rs_{index}{HEX[1:]}", "type": "reasoning", "encrypted_content": "gAAAA1"}
    about = {"item_id": item["id"], "output_index": index}
    yield added(index, {**item, "summary": []})
    parts = []
    for number, pieces in enumerate(summaries):
        at = {**about, "summary_index": number}
        part = {"type": "summary_text", "text": "".join(pieces)}
        parts.append(part)
        yield {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}}
        for piece in pieces:
            yield {"type": "response.reasoning_summary_text.delta", **at, "delta": piece, "obfuscation": "x"}
        yield {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **at, "part": part}
    yield done(index, {**item, "encrypted_content": "gAAAA2", "summary": parts})


def clear_reasoning(index: int, pieces: list[str], *, parts: bool) -> Iterator[Event]:
    """A reasoning item with its text in clear, as servers of open models send it."""
    item: Event = {"id": f"rs_{index}{HEX[1:]}", "type": "reasoning", "summary": []}
    about = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = {"type": "reasoning_text", "text": "".join(pieces)}
    yield added(index, {**item, "content": []})
    if parts:
        yield {"type": "response.content_part.added", **about, "part": {**part, "text": ""}}
    for piece in pieces:
        yield {"type": "response.reasoning_text.delta", **about, "delta": piece}
    yield {"type": "response.reasoning_text.done", **about, "text": part["text"]}
    if parts:
        yield {"type": "response.content_part.done", **about, "part": part}
    yield done(index, {**item, "content": [part]})


def streamed_call(
    index: int, kind: str, member: str, event: str, pieces: list[str], **more: Any
) -> Iterator[Event]:
    """An item whose arguments, input or code is streamed."""
    text = "".join(pieces)
    item = {"id": f"fc_{index}{HEX[1:]}", "type": kind, **more}
    about = {"item_id": item["id"], "output_index": index}
    status = {} if kind == "custom_tool_call" else {"status": "in_progress"}
    yield added(index, {**item, **status, member: ""})
    for piece in pieces:
        yield {"type": f"response.{event}.delta", **about, "delta": piece, "obfuscation": "q"}
    yield {"type": f"response.{event}.done", **about, member: text}
    yield done(index, {**item, **(status and {"status": "completed"}), member: text})


def tool(index: int, kind: str, steps: tuple[str, ...], before: Event, after: Event) -> Iterator[Event]:
    item = {"id": f"ws_{index}{HEX[1:]}", "type": kind}
    yield added(index, {**item, "status": "in_progress", **before})
    for step in steps:
        more = {"partial_image_index": 0, "partial_image_b64": "aaaa"} if step == "partial_image" else {}
        yield {"type": f"response.{kind}.{step}", "item_id": item["id"], "output_index": index, **more}
    yield done(index, {**item, "status": "completed", **after})


def stream(*items: Iterator[Event], end: str = "completed", **more: Any) -> list[Event]:
    """A complete stream; the encrypted content of the final output differs from the done items."""
    body = [event for item in items for event in item]
    output = [event["item"] for event in body if event["type"] == "response.output_item.done"]
    final = [
        {**item, **({"encrypted_content": "gAAAA3"} if "encrypted_content" in item else {})}
        for item in output
    ]
    events = [
        {"type": "response.created", "response": snapshot("in_progress")},
        {"type": "response.in_progress", "response": snapshot("in_progress")},
        *body,
        {"type": f"response.{end}", "response": snapshot(end, final, **more)},
    ]
    whole: list[Event] = json.loads(json.dumps(renumber(events)))
    return whole


def renumber(events: list[Event]) -> list[Event]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def code_interpreter() -> Iterator[Event]:
    """The code comes in events, between those of the tool's progress."""
    code = ["print(", "1)"]
    item = {"id": f"ci_{HEX}", "type": "code_interpreter_call", "container_id": "cntr_1", "outputs": None}
    about = {"item_id": item["id"], "output_index": 0}
    yield added(0, {**item, "status": "in_progress", "code": ""})
    yield {"type": "response.code_interpreter_call.in_progress", **about}
    for piece in code:
        yield {
            "type": "response.code_interpreter_call_code.delta",
            **about,
            "delta": piece,
            "obfuscation": "x",
        }
    yield {"type": "response.code_interpreter_call_code.done", **about, "code": "print(1)"}
    yield {"type": "response.code_interpreter_call.interpreting", **about}
    yield {"type": "response.code_interpreter_call.completed", **about}
    yield done(0, {**item, "status": "completed", "code": "print(1)"})


def remote_tool() -> Iterator[Event]:
    names = {"name": "roll", "server_label": "dice"}
    item = {"id": f"mcp_{HEX}", "type": "mcp_call", "approval_request_id": None, "error": None, **names}
    about = {"item_id": item["id"], "output_index": 0}
    yield added(0, {**item, "status": "in_progress", "arguments": "", "output": None})
    yield {"type": "response.mcp_call.in_progress", **about}
    for piece in ('{"n"', ":2}"):
        yield {"type": "response.mcp_call_arguments.delta", **about, "delta": piece, "obfuscation": ""}
    yield {"type": "response.mcp_call_arguments.done", **about, "arguments": '{"n":2}'}
    yield {"type": "response.mcp_call.completed", **about}
    yield done(0, {**item, "status": "completed", "arguments": '{"n":2}', "output": "7"})


def failed() -> list[Event]:
    error = {"code": "server_error", "message": "The server had an error."}
    return renumber(
        [
            {"type": "response.created", "response": snapshot("in_progress")},
            {"type": "response.in_progress", "response": snapshot("in_progress")},
            {"type": "error", "code": "server_error", "message": "The server had an error.", "param": None},
            {"type": "response.failed", "response": snapshot("failed", error=error)},
        ]
    )


def background() -> list[Event]:
    events = stream(message(0, ["Later."]))
    for event in (events[0], events[1], events[-1]):
        event["response"]["background"] = True
    events[0]["response"]["status"] = "queued"
    queued = {"type": "response.queued", "response": events[0]["response"]}
    return renumber([events[0], queued, *events[1:]])


CITATION = {
    "type": "url_citation",
    "start_index": 0,
    "end_index": 3,
    "title": "T",
    "url": "https://example.com",
}
SEARCH_ACTION = {"action": {"type": "search", "query": "x", "queries": ["x"]}}
OPEN_PAGE_ACTION = {"action": {"type": "open_page", "url": "https://example.com"}}
SEARCH_STEPS = ("in_progress", "searching", "completed")
IMAGE_STEPS = ("in_progress", "generating", "partial_image", "completed")

STREAMS: Mapping[str, list[Event]] = {
    "text": stream(message(0, ["Hi", " there", "!"])),
    "thought and answer": stream(
        reasoning(0, [["**Think", "ing**"], ["More"]]), message(1, ["Yes."], phase="final_answer")
    ),
    "thought without summary": stream(reasoning(0, []), message(1, ["Yes."])),
    "thought in clear": stream(clear_reasoning(0, ["Hm", "."], parts=False), message(1, ["Yes."])),
    "thought in clear, in parts": stream(clear_reasoning(0, ["Hm", "."], parts=True), message(1, ["Yes."])),
    "functions": stream(
        *(
            streamed_call(
                index,
                "function_call",
                "arguments",
                "function_call_arguments",
                ['{"city":', '"Paris"}'],
                call_id=f"call_{index}",
                name="weather",
            )
            for index in range(2)
        )
    ),
    "custom tool": stream(
        streamed_call(
            0, "custom_tool_call", "input", "custom_tool_call_input", ["a", "b"], call_id="c", name="n"
        )
    ),
    "web search": stream(
        tool(0, "web_search_call", SEARCH_STEPS, {"action": {"type": "search"}}, SEARCH_ACTION),
        tool(1, "web_search_call", SEARCH_STEPS, OPEN_PAGE_ACTION, OPEN_PAGE_ACTION),
        message(2, ["See it."], annotations=[CITATION]),
    ),
    "file search": stream(
        tool(
            0,
            "file_search_call",
            SEARCH_STEPS,
            {"queries": [], "results": None},
            {"queries": ["x"], "results": None},
        )
    ),
    "image": stream(tool(0, "image_generation_call", IMAGE_STEPS, {"result": None}, {"result": "aaaa"})),
    "code interpreter": stream(code_interpreter()),
    "remote tool": stream(remote_tool()),
    "refusal": stream(refusal(0, ["I'm sorry,", " no."])),
    "cut short": stream(
        message(0, ["Hi"], status="incomplete"),
        end="incomplete",
        incomplete_details={"reason": "max_output_tokens"},
    ),
    "failed": failed(),
    "in the background": background(),
    "no output": stream(),
}
