"""Strategy for bodies of the other operations: stored responses, conversations, models."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from mockserver.contract import operations
from mockserver.profiles import latest_profile_name
from mockserver.server.state.conversation_context import to_input_items
from mockserver.testing.strategies.input_items import input_items
from mockserver.testing.strategies.rendered_replies import RenderContext, render_context
from mockserver.testing.strategies.replies import output_items, responses
from mockserver.testing.strategies.requests import requests
from mockserver.testing.strategies.usages import usages
from mockserver.testing.strategies.values import JSONObject, select_names, texts

__all__ = ["bodies"]

_CREATED_AT_MS = st.sampled_from([1771316949128, 1])
_METADATA = st.dictionaries(texts().map(lambda text: text[:64]), texts(), max_size=3)


@st.composite
def bodies(draw: DrawFn, *, kind: str | None = None, profile: str | None = None) -> tuple[str, JSONObject]:
    """(kind, body) of what a profile's operations take and return, as `check_body` checks it.

    `kind` selects one, "input_items" or "conversation" for example; None draws among those of the profile.
    `profile` defaults to the newest.
    """
    context = render_context(latest_profile_name() if profile is None else profile, "wire")
    known = dict.fromkeys(operations.body_schemas(context.profile))
    selected = draw(st.sampled_from(select_names("kind", None if kind is None else (kind,), tuple(known))))
    return selected, draw(_bodies_of_kind(selected, context))


def _bodies_of_kind(kind: str, context: RenderContext) -> SearchStrategy[JSONObject]:
    name = context.profile.name
    if kind == "create_request":
        return requests(profile=name)
    if kind == "response":
        return responses(profile=name)
    return _STRATEGY_BY_KIND[kind](context)


@st.composite
def _listed_items(draw: DrawFn, context: RenderContext) -> list[JSONObject]:
    """Items as lists show them: inputs, and sometimes an output."""
    inputs = to_input_items(draw(input_items(context.profile.name)), context.response_id(1))
    outputs = draw(st.lists(output_items(profile=context.profile.name), max_size=1))
    return [*inputs, *outputs]


def _list_page(items: list[JSONObject]) -> JSONObject:
    first, last = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    return {"data": items, "first_id": first, "has_more": False, "last_id": last}


@st.composite
def _input_item_pages(draw: DrawFn, context: RenderContext) -> JSONObject:
    members = {
        "id": context.response_id(1),
        "model": context.profile.models[0],
        "created_at": draw(_CREATED_AT_MS),
    }
    optional = draw(st.sampled_from([{}, {"previous_response_id": context.response_id(2)}]))
    return {**_list_page(draw(_listed_items(context))), **members, **optional}


def _deletion_bodies(object_type: str | None, id_prefix: str) -> SearchStrategy[JSONObject]:
    members = {"object": object_type} if object_type else {}
    return st.just({"id": f"{id_prefix}00000000-0000-9000-8000-000000000001", "deleted": True, **members})


def _conversation_bodies(context: RenderContext) -> SearchStrategy[JSONObject]:
    return st.fixed_dictionaries(
        {
            "id": st.just("conv_00000000-0000-9000-8000-000000000001"),
            "object": st.just("conversation"),
            "created_at": _CREATED_AT_MS,
            "metadata": _METADATA,
        }
    )


def _few_input_items(context: RenderContext) -> SearchStrategy[list[JSONObject]]:
    return input_items(context.profile.name).map(lambda items: items[:20])


def _model_lists(context: RenderContext) -> SearchStrategy[JSONObject]:
    members = {"object": "model", "created": 1771316949, "owned_by": "system"}
    return st.just({"object": "list", "data": [{"id": name, **members} for name in context.profile.models]})


@st.composite
def _compact_responses(draw: DrawFn, context: RenderContext) -> JSONObject:
    """A compacted conversation: its messages, and the item that stands for the rest."""
    item = {"type": "compaction", "id": context.item_id(2, "compaction"), "encrypted_content": draw(texts())}
    parts = [*map(dict, draw(st.lists(st.sampled_from(_MESSAGE_PARTS), max_size=2)))]
    members = {"id": context.item_id(1), "role": draw(st.sampled_from(["user", "system", "developer"]))}
    message = {**members, "status": "completed", "type": "message", "content": parts}
    return {
        "id": context.response_id(1),
        "object": "response.compaction",
        "created_at": 1771316949,
        "output": [message, {**item, **draw(st.sampled_from([{}, {"status": "completed"}]))}],
        "usage": draw(usages(profile=context.profile.name)),
    }


#: Parts of input messages, as items show them (Open Responses OpenAPI document, 2026-04-24).
_MESSAGE_PARTS: tuple[JSONObject, ...] = (
    {"type": "input_text", "text": "x"},
    *({"type": each, "text": "x"} for each in ("text", "summary_text", "reasoning_text")),
    *({"type": "input_image", "image_url": None, "detail": each} for each in ("low", "high", "auto")),
    {"type": "input_file", "filename": "a.txt", "file_data": "YQ==", "file_url": "https://example.invalid/a"},
    {"type": "input_video", "video_url": "https://example.invalid/v"},
)


def _compact_requests(context: RenderContext) -> SearchStrategy[JSONObject]:
    return st.fixed_dictionaries(
        {"model": st.just("any-model")},
        optional={
            "input": texts() | input_items(context.profile.name) | st.none(),
            "previous_response_id": st.sampled_from(["resp_1", None]),
            "instructions": texts() | st.none(),
            "prompt_cache_key": st.sampled_from(["key-1", None]),
        },
    )


_STRATEGY_BY_KIND: dict[str, Callable[[RenderContext], SearchStrategy[JSONObject]]] = {
    "deleted_response": lambda context: _deletion_bodies(None, "resp_"),
    "input_items": _input_item_pages,
    "create_conversation": lambda context: st.fixed_dictionaries(
        {}, optional={"items": _few_input_items(context) | st.none(), "metadata": _METADATA | st.none()}
    ),
    "update_conversation": lambda context: st.fixed_dictionaries({"metadata": _METADATA}),
    "create_items": lambda context: st.fixed_dictionaries({"items": _few_input_items(context)}),
    "conversation": _conversation_bodies,
    "deleted_conversation": lambda context: _deletion_bodies("conversation.deleted", "conv_"),
    "added_items": lambda context: _listed_items(context).map(_list_page),
    "conversation_items": lambda context: _listed_items(context).map(
        lambda items: {**_list_page(items), "object": "list"}
    ),
    "listed_item": lambda context: output_items(profile=context.profile.name),
    "deleted_item": lambda context: _deletion_bodies("conversation.item.deleted", "msg_"),
    "models": _model_lists,
    "compact_request": _compact_requests,
    "compact_response": _compact_responses,
}
