"""Probes of what is kept: responses that are retrieved, listed and deleted, conversations, models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockserver.live.client import Crossing
from mockserver.live.probes.registry import probe
from mockserver.live.talk import Inconclusive, Talk
from mockserver.profiles import Profile

__all__: list[str] = []


def _lacks(*names: str) -> Callable[[Profile], str | None]:
    def lacks(profile: Profile) -> str | None:
        missing = [name for name in names if name not in profile.operations]
        return f"{profile.name} has no {missing[0]}" if missing else None

    return lacks


@probe(
    "retrieve",
    "a stored response can be retrieved, and is the one that was sent",
    requests=2,
    tokens=200,
    lacks=_lacks("retrieveResponse"),
)
def retrieve(talk: Talk) -> None:
    first = talk.answer(f"Say hello in one word. ({talk.nonce})")
    again = talk.got(f"/responses/{_id(first)}", "response")
    for name in ("id", "output", "usage"):
        before = (first.response or {}).get(name)
        if again.get(name) != before:
            message = f"{name} is another than when it was created"
            talk.say("LIV-009", talk.crossings[-1], message, expected=before, got=again.get(name))


@probe(
    "input-items",
    "the input of a stored response can be listed",
    requests=2,
    tokens=200,
    lacks=_lacks("listInputItems"),
)
def input_items(talk: Talk) -> None:
    question = f"Say hello in one word. ({talk.nonce})"
    listed = talk.got(f"/responses/{_id(talk.answer(question))}/input_items", "input_items")
    if question not in str(listed.get("data")):
        talk.say("LIV-009", talk.crossings[-1], "the input is not among the items", expected=question)


@probe(
    "delete",
    "a deleted response can be had no more",
    requests=3,
    tokens=200,
    lacks=_lacks("retrieveResponse", "deleteResponse"),
)
def delete(talk: Talk) -> None:
    path = f"/responses/{_id(talk.answer(f'Say hello in one word. ({talk.nonce})'))}"
    talk.got(path, "deleted_response", method="DELETE")
    talk.missing(path, "a response that was deleted")


@probe(
    "not-stored",
    "a response with store false can not be retrieved",
    requests=2,
    tokens=200,
    lacks=_lacks("retrieveResponse"),
)
def not_stored(talk: Talk) -> None:
    first = talk.answer(f"Say hello in one word. ({talk.nonce})", {"store": False})
    talk.missing(f"/responses/{_id(first)}", "a response that was not to be stored")


@probe("unknown-response", "a response that nobody knows is not found", lacks=_lacks("retrieveResponse"))
def unknown_response(talk: Talk) -> None:
    talk.missing(f"/responses/{talk.unknown_id}", "a response that nobody knows")


@probe(
    "conversation",
    "a conversation is kept, takes a turn, and is deleted",
    requests=4,
    tokens=300,
    lacks=_lacks("createConversation", "listItems", "deleteConversation"),
)
def conversation(talk: Talk) -> None:
    made = talk.got("/conversations", "conversation", method="POST", body={"metadata": {"probe": talk.nonce}})
    path = f"/conversations/{made.get('id')}"
    question = f"Say hello in one word. ({talk.nonce})"
    talk.answer(question, {"conversation": made.get("id")}, tokens=300)
    items = talk.got(f"{path}/items", "conversation_items")
    if question not in str(items.get("data")):
        talk.say("LIV-009", talk.crossings[-1], "the turn is not among the items", expected=question)
    talk.got(path, "deleted_conversation", method="DELETE")


@probe("models", "the models are listed", lacks=_lacks("listModels"))
def models(talk: Talk) -> None:
    listed = talk.got("/models", "models")
    ids = [each.get("id") for each in listed.get("data") or () if isinstance(each, dict)]
    if talk.model not in ids:
        talk.say("LIV-009", talk.crossings[-1], "the model that is asked is not listed", expected=talk.model)


def _id(crossing: Crossing) -> str:
    given: Any = (crossing.response or {}).get("id")
    if not isinstance(given, str):
        raise Inconclusive("the response has no id")
    return given
