"""The operations that retrieve and delete stored responses, list their input, and list the models.

Sources: API reference, Retrieve, Delete and List input items (May to September 2026).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from mockserver.replies.renderings import Rendering, load_rendering
from mockserver.server.errors import BARE_ENVELOPE, FLAT_ENVELOPE, ApiError
from mockserver.server.http.requests import HttpRequest
from mockserver.server.large_bodies import run_beside_loop, run_in_worker
from mockserver.server.operations.pagination import paginate
from mockserver.server.state.conversation_context import to_input_items
from mockserver.server.state.store import ResponseRecord
from mockserver.wire import json

__all__ = ["delete_response", "list_input_items", "list_models", "retrieve_response"]


#: Members of a response that the client sent.
_ECHOED_MEMBERS = ("tools", "metadata", "instructions")


async def retrieve_response(request: HttpRequest) -> Any:
    """Handle `GET /responses/{response_id}`."""
    record = await _find_record(request)
    if record is None:
        raise _not_found_error(request)
    rendering = load_rendering(request.session.profile.name, request.session.rendering)
    return await run_beside_loop(_render_response, record.response_body, rendering)


def _render_response(response_body: bytes, rendering: Rendering) -> dict[str, Any]:
    response: dict[str, Any] = json.loads(response_body)
    if not rendering.float_timestamps:
        return response
    response |= {name: float(response[name]) for name in ("created_at", "completed_at") if name in response}
    # Echoes of the request must not be rendered, whatever they look like.
    echoes = {name: response[name] for name in _ECHOED_MEMBERS if name in response}
    echoes["tool_choice"] = json.loads(rendering.encode_tool_choice(response["tool_choice"]))
    rendered = rendering.reply_layout.apply("response", {**response, **dict.fromkeys(echoes)})
    return {name: echoes.get(name, value) for name, value in rendered.items()}


async def delete_response(request: HttpRequest) -> Any:
    """Handle `DELETE /responses/{response_id}`; a deleted response cannot be continued."""
    record = await _find_record(request)
    if record is None or not await request.services.store.delete(request.session.name, record.id):
        raise _not_found_error(request)
    return {"deleted": True, "id": record.id}


async def list_input_items(request: HttpRequest) -> Any:
    """Handle `GET /responses/{response_id}/input_items`: the input, and all turns before it."""
    record = await _find_record(request)
    if record is None:
        message = _not_found_message(request)
        # Only this page shows an id without dashes.
        raise ApiError(
            404, "InvalidParameter", message, envelope=FLAT_ENVELOPE._replace(undashed_request_id=True)
        )
    turns = await request.services.store.get_chain(record)
    # All turns may have any size.
    return await run_in_worker(_list_page, turns, record, request.scope["query_string"])


def _list_page(turns: Sequence[ResponseRecord], last: ResponseRecord, query: bytes) -> dict[str, Any]:
    """The page of the input of all turns up to `last`, and of the output of those before it, in order of time."""
    items: list[dict[str, Any]] = []
    for turn in turns:
        items += to_input_items(json.loads(turn.request_body)["input"], turn.id)
        if turn is not last:
            items += json.loads(turn.response_body)["output"]
    response = json.loads(last.response_body)
    metadata = {
        "created_at": int(response["created_at"]) * 1000,
        "id": last.id,
        "model": response["model"],
        **({"previous_response_id": last.parent_id} if last.parent_id else {}),
    }
    return dict(sorted({**paginate(items, query), **metadata}.items()))


async def list_models(request: HttpRequest) -> Any:
    """Handle `GET /models`: the accepted models, in OpenAI's form."""
    session = request.session
    models = session.models if isinstance(session.models, Collection) else session.profile.models
    known = session.profile.models
    names = sorted(models, key=lambda name: (known.index(name) if name in known else len(known), name))
    metadata = {"created": int(session.clock.now()), "object": "model", "owned_by": "system"}
    return {"data": [{"id": name, **metadata} for name in names], "object": "list"}


async def _find_record(request: HttpRequest) -> ResponseRecord | None:
    response_id = request.scope["path_params"]["response_id"]
    record = await request.services.store.get(request.session.name, response_id)
    return record if record is not None and request.session.clock.now() < record.expires_at else None


def _not_found_message(request: HttpRequest) -> str:
    return f"Response with id '{request.scope['path_params']['response_id']}' not found."


def _not_found_error(request: HttpRequest) -> ApiError:
    # The status is inferred: the pages show only the body.
    return ApiError(404, "InvalidParameter", _not_found_message(request), envelope=BARE_ENVELOPE)
