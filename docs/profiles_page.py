"""What each age of the service has, cell by cell: the page `profiles.md`, and what its test exercises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from docs.openresponses_section import openresponses_lines
from mockserver.contract.operations import OPERATIONS
from mockserver.contract.schema.overlays import is_known, union_branches
from mockserver.contract.schema.registry import ProfileSchemas, load_schemas
from mockserver.profiles import load_profile, load_profile_document, profile_names
from mockserver.server.delivery.faults import ServiceFault, load_service_faults

__all__ = ["PROFILES", "Cell", "cells", "profiles_page"]

#: The ages of the service that can be played; the other profiles are other services.
PROFILES = sorted(
    (
        name
        for name in profile_names()
        if load_profile_document(name)["renderings"] and name.startswith("qwen-")
    ),
    key=lambda name: str(load_profile_document(name)["facts"]["date"]["value"]),
)

_TABLE_NOTES = {
    "endpoint": "What is not there is answered with 404, which names the age that has it.",
    "parameter": "What is not listed is ignored, not refused; the log and the judge say so.",
    "tool": "A tool that is not there is passed over, and the judge says so.",
    "item": "Types of the items of an output.",
    "event": "Types of the events of a stream.",
}


class Cell(NamedTuple):
    """Whether a profile has something, and where that is from."""

    kind: str
    """"endpoint", "parameter", "tool", "item" or "event"."""
    profile: str
    name: str
    is_present: bool
    source: str


def cells() -> Iterator[Cell]:
    """Every cell but those of the errors, which are the same in all profiles."""
    for profile in PROFILES:
        about, known = load_profile(profile), load_schemas(profile)
        for name, operation in OPERATIONS.items():
            if not any(name in load_profile(each).operations for each in PROFILES):
                continue
            yield Cell("endpoint", profile, name, name in about.operations, operation.source)
        for name in _parameters():
            source = _source(known.undated["create_request"]["properties"][name])
            yield Cell("parameter", profile, name, name in about.parameters, source)
        for name in _tools():
            there = name == "function" or name in about.tools
            yield Cell("tool", profile, name, there, _tool_source(known, name))
        yield from _type_cells("item", profile, known)
        yield from _type_cells("event", profile, known)


def _type_cells(union: str, profile: str, schemas: ProfileSchemas) -> Iterator[Cell]:
    for kind, branch in union_branches(schemas.undated[union]):
        name = branch["then"]["$ref"].removesuffix(".json")
        source = _source(schemas.undated[name]["properties"]["type"])
        yield Cell(union, profile, kind, is_known(branch, schemas.date), source)


def _tool_source(schemas: ProfileSchemas, name: str) -> str:
    kinds = {kind: branch["then"]["$ref"] for kind, branch in union_branches(schemas.undated["tool"])}
    schema = schemas.undated[kinds[name].removesuffix(".json")]
    return _source(schema["properties"]["type"])


def _source(schema: dict[str, Any]) -> str:
    return str(schema["description"]).partition("Source: ")[2].rstrip(".")


def _parameters() -> list[str]:
    names = [name for profile in PROFILES for name in load_profile(profile).parameters]
    return list(dict.fromkeys(names))


def _tools() -> list[str]:
    names = [name for profile in PROFILES for name in load_profile(profile).tools]
    return [*dict.fromkeys(names), "function"]


def profiles_page() -> str:
    """The page about all profiles."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    yield "<!-- Written by docs/generate.py from the files of schemas: `make docs`. -->"
    yield "# The ages of the service\n"
    yield "A profile is one age of the service. `mockserver serve --profile NAME` plays it, and so does"
    yield "`MockServer(profile=NAME)`; `latest` is the newest. One profile is another service: see the end."
    yield "Every cell of these tables is exercised by a test, and what comes of it is judged.\n"
    yield f"| | {' | '.join(f'`{name}`' for name in PROFILES)} |"
    yield "|---|" + "---|" * len(PROFILES)
    for words, fact in _FACTS.items():
        yield f"| {words} | {' | '.join(_fact_text(name, fact) for name in PROFILES)} |"
    table = list(cells())
    for kind, words in _TABLE_NOTES.items():
        yield from _table_lines(kind, words, [cell for cell in table if cell.kind == kind])
    yield from _model_lines()
    yield from _error_lines()
    yield from openresponses_lines()


_FACTS = {
    "base path": "base_path",
    "hosts, as documented": "hosts",
    "response ids": "id_form",
    "thinks when nothing is said": "thinking",
    "levels of `reasoning.effort`": "efforts",
    "thoughts come by": "reasoning_events",
    "echoes in a finished response": "echoes",
    "a wrong key gets": "wrong_key",
}


def _fact_text(profile: str, fact: str) -> str:
    value = getattr(load_profile(profile), fact)
    if isinstance(value, bool):
        return "yes" if value else "no"
    values = [value] if isinstance(value, str) else list(value)
    return ", ".join(f"`{each}`" for each in values) or "–"


def _table_lines(kind: str, note: str, cells: list[Cell]) -> Iterator[str]:
    yield f"\n## {kind.capitalize()}s\n"
    yield f"{note}\n"
    yield f"| {kind} | {' | '.join(f'`{name}`' for name in PROFILES)} | source |"
    yield "|---|" + "---|" * len(PROFILES) + "---|"
    for name in dict.fromkeys(cell.name for cell in cells):
        row = {cell.profile: cell for cell in cells if cell.name == name}
        # Where the newest age is silent the last one that had it speaks.
        source = next(row[each].source for each in reversed(PROFILES) if row[each].is_present)
        marks = " | ".join("yes" if row[each].is_present else "–" for each in PROFILES)
        yield f"| {_row_title(kind, name)} | {marks} | {source} |"


def _row_title(kind: str, name: str) -> str:
    if kind != "endpoint":
        return f"`{name}`"
    operation = OPERATIONS[name]
    return f"`{operation.method} {operation.path}`"


def _model_lines() -> Iterator[str]:
    yield "\n## Models\n"
    yield "They add up: an age has those of the ages before.\n"
    before: set[str] = set()
    for profile in PROFILES:
        models = load_profile(profile).models
        new = ", ".join(f"`{name}`" for name in models if name not in before)
        before |= set(models)
        yield f"- `{profile}`: {new}. Source: {load_profile_document(profile)['facts']['models']['source']}."


_ERRORS_HEAD = """
## Errors

Each can be asked for by its name: `x-mock-fault: NAME` on a request (with `--allow-mock-headers`; always with
`MockServer` and in pytest), or `server.fail("NAME")`. The answer then has the header `x-mock-fault` as well.

*flat* is `{request_id, code, message}`, *wrapped* `{error: {message, type, param, code}, request_id}`, *bare*
`{error: {message, type}}`; *failed* is a response object with the status failed, in a stream one lone
`response.failed`; *payload* is one event without a type. Where nothing is said of streams, they are refused
before they begin.

| name | status, form | in a stream | code | message | source |
|---|---|---|---|---|---|"""


def _error_lines() -> Iterator[str]:
    yield _ERRORS_HEAD
    for fault in load_service_faults().values():
        about = [
            f"`{fault.name}`",
            f"{fault.status} {fault.form}",
            _in_stream(fault),
            f"`{fault.code}`",
            _escape_markdown(fault.message),
            fault.source,
        ]
        yield f"| {' | '.join(about)} |"


def _in_stream(fault: ServiceFault) -> str:
    code = f", `{fault.stream_code}`" if fault.stream_code else ""
    return f"200 {fault.stream}{code}" if fault.stream else "the same"


def _escape_markdown(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
