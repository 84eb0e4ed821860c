"""Problems of a stub's document that its schema does not find: all at once, even if the schema refuses it.

A server refuses a document at its first problem. Only then does it look for the others here, in those parts of the
document that are valid by their own schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from mockserver.documents.problems import Problem
from mockserver.documents.short_forms import CONTENT_MEMBERS, DELIVERY_MEMBERS, REPLY_FORMS, expand_items
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchanges import Exchange, FindMore, is_valid_part, part_example, redact_problems
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile, load_profile, profile_names, served_profile_names, unknown_profile
from mockserver.replies.script import Item, Message, Script, parse_script
from mockserver.server.stubs.exchange_replies import (
    find_item_problems,
    parse_delivery,
    parse_service_fault,
    require_fillable,
)
from mockserver.server.stubs.placeholders import require_known_placeholders
from mockserver.server.stubs.spellings import JSON, Spelling

__all__ = ["explain_exchange", "find_serving_problems", "problem_finder"]

#: Items of a reply that are searched for problems.
_MAX_ITEMS = 1000
#: Problems of one document to report: with more, the document is something else.
_MAX_PROBLEMS = 20


def explain_exchange(
    error: InvalidExchange, exchange: Exchange, profile: Profile, rendering: str
) -> InvalidExchange:
    """Every problem of an exchange that cannot be served; `error` is the first."""
    problems = find_serving_problems(exchange.document, profile, rendering)
    errors = [
        InvalidExchange(exchange.location, exchange.pointer + each.pointer, each.reason) for each in problems
    ]
    return InvalidExchange.combine(errors or [error])


def problem_finder(profile_name: str, rendering: str) -> FindMore:
    """Finds why a server with this profile cannot serve a document. Raises UnknownProfile when it is called."""
    return lambda value: find_serving_problems(value, load_profile(profile_name), rendering)


def find_serving_problems(
    value: Any, profile: Profile, rendering: str, spelling: Spelling = JSON
) -> list[Problem]:
    """Why a server with this profile cannot serve a stub, beside what its schema says."""
    if not isinstance(value, Mapping):
        return []
    problems = chain(
        _profile_problems(value),
        _delivery_problems(value, spelling),
        _error_problems(value.get("reply")),
        _script_problems(value, profile, rendering, spelling),
    )
    return redact_problems([*islice(problems, _MAX_PROBLEMS)], value)


def _profile_problems(value: Mapping[str, Any]) -> Iterator[Problem]:
    name = value.get("profile")
    if isinstance(name, str) and name not in profile_names():
        yield Problem("/profile", unknown_profile(name))


def _delivery_problems(value: Mapping[str, Any], spelling: Spelling) -> Iterator[Problem]:
    reply = value.get("reply")
    is_error = isinstance(reply, Mapping) and "error" in reply
    for place, written in (("reply", reply), ("delivery", value.get("delivery"))):
        options: Mapping[str, Any] = written if isinstance(written, Mapping) else {}
        for name in DELIVERY_MEMBERS:
            if name in options and is_valid_part(name, options[name]):
                yield from _problem_of(
                    lambda given: parse_delivery(given, spelling, is_error=is_error),
                    {name: options[name]},
                    f"/{place}/{name}",
                    part_example(name),
                )


def _error_problems(reply: Any) -> Iterator[Problem]:
    error = reply.get("error") if isinstance(reply, Mapping) else None
    name, pointer = (
        (error.get("name"), "/reply/error/name") if isinstance(error, Mapping) else (error, "/reply/error")
    )
    if isinstance(name, str):
        yield from _problem_of(parse_service_fault, name, pointer, part_example("error"))


class _LocatedItem(NamedTuple):
    """An item of a reply, and where the document has its members."""

    pointer: str
    item: Item


#: In place of an item that is invalid by its schema.
_NO_ITEM = Message(("…",))


def _script_problems(
    value: Mapping[str, Any], profile: Profile, rendering: str, spelling: Spelling
) -> Iterator[Problem]:
    reply = value.get("reply")
    options = _options(value)
    form = next((each for each in REPLY_FORMS if each in reply), "") if isinstance(reply, Mapping) else ""
    if form in ("body", "http"):
        yield from _problem_of(lambda given: require_fillable(given, options), {form: None}, f"/reply/{form}")
    located = [*islice(_located_items(reply), _MAX_ITEMS)]
    if options.get("template") is True:
        for each in located:
            yield from _problem_of(require_known_placeholders, Script((each.item,)), each.pointer)
    if options.get("invalid") is True:
        return
    if value.get("profile") in served_profile_names() and value["profile"] != profile.name:
        profile, rendering = load_profile(value["profile"]), "wire"
    script = Script(tuple(each.item for each in located))
    for problem in find_item_problems(script, profile, rendering, spelling):
        _, index, *rest = problem.pointer.split("/")
        yield Problem("/".join([located[int(index)].pointer, *rest]), problem.reason)


def _options(value: Mapping[str, Any]) -> Mapping[str, Any]:
    places = (value.get("delivery"), value.get("reply"))
    return {name: each for place in places if isinstance(place, Mapping) for name, each in place.items()}


def _located_items(reply: Any) -> Iterator[_LocatedItem]:
    for pointer, definition, written in _written_items(reply):
        try:
            is_valid = is_valid_part(definition, written)
            (item,) = parse_script({"items": expand_items([written])}).items if is_valid else (_NO_ITEM,)
        except ConfigurationError:  # a text that is not Unicode
            item = _NO_ITEM
        is_short = isinstance(written, Mapping) and "type" not in written
        content = "".join(f"/{name}" for name in islice(written, 1)) if is_short else ""
        yield _LocatedItem(pointer + content, item)


def _written_items(reply: Any) -> Iterator[tuple[str, str, Any]]:
    """The items as they are written: where, the definition of their schema, and the value."""
    if isinstance(reply, str):
        yield "/reply", "item", reply
    elif isinstance(reply, list):
        yield from ((f"/reply/{index}", "item", each) for index, each in enumerate(reply))
    elif isinstance(reply, Mapping) and "script" in reply:
        script = reply["script"]
        items = script.get("items") if isinstance(script, Mapping) else None
        for index, each in enumerate(items if isinstance(items, list) else ()):
            yield f"/reply/script/items/{index}", "typed_item", each
    elif isinstance(reply, Mapping):
        yield from (
            ("/reply", "short_item", {name: reply[name]}) for name in CONTENT_MEMBERS if name in reply
        )


def _problem_of(
    check: Callable[[Any], object], given: Any, pointer: str, example: str = ""
) -> Iterator[Problem]:
    try:
        check(given)
    except ConfigurationError as error:
        yield Problem(pointer, f"{error}{example}")
