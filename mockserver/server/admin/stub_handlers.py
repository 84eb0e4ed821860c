"""The operations on the stubs of a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.server.admin.operations import OperationFunction
from mockserver.server.admin.stub_documents import add_stubs, define_stubs, parse_stub, parse_stubs
from mockserver.server.errors import ApiError
from mockserver.server.http.requests import HttpRequest
from mockserver.server.large_bodies import run_beside_loop, run_in_worker
from mockserver.server.stubs.stubs import Stub, StubRegistry
from mockserver.wire import json
from mockserver.wire.redaction import redact, redact_body

__all__ = ["STUB_OPERATIONS"]


async def _list_stubs(request: HttpRequest, _: Any) -> Any:
    return {"stubs": await run_in_worker(_stub_objects, request.session.stubs.all)}


def _stub_objects(stubs: Iterable[Stub]) -> list[dict[str, Any]]:
    return [
        {
            "name": each.name,
            "times": each.definition.times,
            "given": each.call_count,
            "scenario": each.definition.scenario or None,
            "says": redact(str(each)),
        }
        for each in stubs
    ]


async def _add_stubs(request: HttpRequest, _: Any) -> Any:
    documents = await run_beside_loop(parse_stubs, request.body)
    definitions = await run_in_worker(define_stubs, request.session, documents)
    names = [each.name for each in await add_stubs(request.session.stubs, definitions)]
    return {"names": names} if documents.is_list else {"name": names[0]}


async def _read_stub(request: HttpRequest, _: Any) -> Any:
    stub = _find_stub(request)
    document = stub.definition.document
    secrets = request.services.secrets
    text = None if document is None else redact_body(json.dumps(document).decode(), secrets)
    return {"name": stub.name, "document": None if text is None else json.loads(text.encode())}


async def _replace_stub(request: HttpRequest, _: Any) -> Any:
    """Replace a stub in its place; if the new one is invalid, the old one stays. Without a name it keeps the old."""
    documents = await run_beside_loop(parse_stub, request.body)
    session, name = request.session, _find_stub(request).name
    definitions = await run_in_worker(
        define_stubs, session, documents.with_default_name(name), StubRegistry()
    )
    old = _find_stub(request)
    (new,) = StubRegistry().add_all(definitions)
    if new.name != old.name and session.stubs.get(new.name) is not None:
        raise ConfigurationError(f"another stub has the name {new.name!r}")
    session.stubs.replace(old.name, new.move_to(session.stubs))
    return {"name": new.name}


async def _delete_stub(request: HttpRequest, _: Any) -> Any:
    request.session.stubs.remove(_find_stub(request).name)
    return {"deleted": 1}


async def _order_stubs(request: HttpRequest, value: Any) -> Any:
    request.session.stubs.reorder(value)
    return await _list_stubs(request, None)


def _find_stub(request: HttpRequest) -> Stub:
    name = request.scope["path_params"]["stub"]
    stub = request.session.stubs.get(name)
    if stub is None:
        raise ApiError(404, "NotFound", f"There is no stub {name!r}.")
    return stub


async def _delete_stubs(request: HttpRequest, _: Any) -> Any:
    count = len(request.session.stubs)
    request.session.stubs.clear()
    return {"deleted": count}


STUB_OPERATIONS: Mapping[str, OperationFunction] = MappingProxyType(
    {
        "listStubs": _list_stubs,
        "planReply": _add_stubs,
        "deleteStubs": _delete_stubs,
        "orderStubs": _order_stubs,
        "readStub": _read_stub,
        "replaceStub": _replace_stub,
        "deleteStub": _delete_stub,
    }
)
