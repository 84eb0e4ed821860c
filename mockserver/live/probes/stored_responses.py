"""Probes of stored state: retrieving, listing and deleting responses, conversations, and models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockserver.live.client import Interaction
from mockserver.live.probes.context import ProbeContext, ProbeInconclusive
from mockserver.live.probes.registry import probe
from mockserver.profiles import Profile

__all__: list[str] = []


def _requires_operations(*names: str) -> Callable[[Profile], str | None]:
    def skip_reason(profile: Profile) -> str | None:
        missing = [name for name in names if name not in profile.operations]
        return f"{profile.name} has no {missing[0]}" if missing else None

    return skip_reason


@probe(
    "retrieve",
    "a stored response can be retrieved unchanged",
    requests=2,
    tokens=200,
    skip_reason=_requires_operations("retrieveResponse"),
)
def retrieve(context: ProbeContext) -> None:
    first = context.create_response(f"Say hello in one word. ({context.nonce})")
    again = context.call_operation(f"/responses/{_response_id(first)}", "response")
    for name in ("id", "output", "usage"):
        before = (first.response or {}).get(name)
        if again.get(name) != before:
            message = f"{name} differs from the created response"
            context.add_finding(
                "LIV-009", context.interactions[-1], message, expected=before, got=again.get(name)
            )


@probe(
    "input-items",
    "the input of a stored response can be listed",
    requests=2,
    tokens=200,
    skip_reason=_requires_operations("listInputItems"),
)
def input_items(context: ProbeContext) -> None:
    question = f"Say hello in one word. ({context.nonce})"
    listed = context.call_operation(
        f"/responses/{_response_id(context.create_response(question))}/input_items", "input_items"
    )
    if question not in str(listed.get("data")):
        context.add_finding(
            "LIV-009", context.interactions[-1], "the items do not contain the input", expected=question
        )


@probe(
    "delete",
    "a deleted response is gone",
    requests=3,
    tokens=200,
    skip_reason=_requires_operations("retrieveResponse", "deleteResponse"),
)
def delete(context: ProbeContext) -> None:
    path = f"/responses/{_response_id(context.create_response(f'Say hello in one word. ({context.nonce})'))}"
    context.call_operation(path, "deleted_response", method="DELETE")
    context.expect_not_found(path, "a deleted response")


@probe(
    "not-stored",
    "a response with store false cannot be retrieved",
    requests=2,
    tokens=200,
    skip_reason=_requires_operations("retrieveResponse"),
)
def not_stored(context: ProbeContext) -> None:
    first = context.create_response(f"Say hello in one word. ({context.nonce})", {"store": False})
    context.expect_not_found(f"/responses/{_response_id(first)}", "a response with store false")


@probe(
    "unknown-response",
    "an unknown response is not found",
    skip_reason=_requires_operations("retrieveResponse"),
)
def unknown_response(context: ProbeContext) -> None:
    context.expect_not_found(f"/responses/{context.unknown_id}", "an unknown response")


@probe(
    "conversation",
    "a conversation can be created, continued and deleted",
    requests=4,
    tokens=300,
    skip_reason=_requires_operations("createConversation", "listItems", "deleteConversation"),
)
def conversation(context: ProbeContext) -> None:
    created = context.call_operation(
        "/conversations", "conversation", method="POST", body={"metadata": {"probe": context.nonce}}
    )
    path = f"/conversations/{created.get('id')}"
    question = f"Say hello in one word. ({context.nonce})"
    context.create_response(question, {"conversation": created.get("id")}, expected_tokens=300)
    items = context.call_operation(f"{path}/items", "conversation_items")
    if question not in str(items.get("data")):
        context.add_finding(
            "LIV-009", context.interactions[-1], "the items do not contain the turn", expected=question
        )
    context.call_operation(path, "deleted_conversation", method="DELETE")


@probe("models", "the models are listed", skip_reason=_requires_operations("listModels"))
def models(context: ProbeContext) -> None:
    listed = context.call_operation("/models", "models")
    ids = [each.get("id") for each in listed.get("data") or () if isinstance(each, dict)]
    if context.model not in ids:
        context.add_finding(
            "LIV-009",
            context.interactions[-1],
            "the model used by the probes is not listed",
            expected=context.model,
        )


def _response_id(interaction: Interaction) -> str:
    response_id: Any = (interaction.response or {}).get("id")
    if not isinstance(response_id, str):
        raise ProbeInconclusive("the response has no id")
    return response_id
