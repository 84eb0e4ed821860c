"""The page `profiles.md`: what each dated profile supports. Its test exercises each cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from docs.openresponses_section import openresponses_lines, thinking_text
from mockserver.contract.operations import OPERATIONS
from mockserver.contract.schema.overlays import is_known, union_branches
from mockserver.contract.schema.registry import ProfileSchemas, load_schemas
from mockserver.profiles import ThinkingModels, load_profile, load_profile_document, profile_names
from mockserver.server.delivery.faults import ServiceFault, load_service_faults

__all__ = ["PROFILES", "Cell", "cells", "profiles_page"]

#: The dated profiles of the service; the other profiles are other services.
PROFILES = sorted(
    (
        name
        for name in profile_names()
        if load_profile_document(name)["renderings"] and name.startswith("qwen-")
    ),
    key=lambda name: str(load_profile_document(name)["facts"]["date"]["value"]),
)

_TABLE_NOTES = {
    "endpoint": "A missing endpoint is answered with 404, which names the profile that has it.",
    "parameter": "Parameters that are not listed are ignored, not refused; log and findings report them.",
    "tool": "A missing tool is ignored, and a finding reports it.",
    "item": "Types of output items.",
    "event": "Types of stream events.",
}


class Cell(NamedTuple):
    """Whether a profile has a feature, and the source of that."""

    kind: str
    """"endpoint", "parameter", "tool", "item" or "event"."""
    profile: str
    name: str
    is_present: bool
    source: str


def cells() -> Iterator[Cell]:
    """All cells except those of errors, which are the same in all profiles."""
    for name in PROFILES:
        profile, schemas = load_profile(name), load_schemas(name)
        for operation_id, operation in OPERATIONS.items():
            if not any(operation_id in load_profile(each).operations for each in PROFILES):
                continue
            is_present = operation_id in profile.operations
            yield Cell("endpoint", name, operation_id, is_present, operation.source)
        for parameter in _parameters():
            source = _source(schemas.undated["create_request"]["properties"][parameter])
            yield Cell("parameter", name, parameter, parameter in profile.parameters, source)
        for tool in _tools():
            is_present = tool == "function" or tool in profile.tools
            yield Cell("tool", name, tool, is_present, _tool_source(schemas, tool))
        yield from _type_cells("item", name, schemas)
        yield from _type_cells("event", name, schemas)


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
    """Render the page."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    yield "<!-- Written by docs/generate.py from the files of schemas: `make docs`. -->"
    yield "# Profiles\n"
    yield "A profile describes the service at one date. Select it with `mockserver serve --profile NAME` or"
    yield "`MockServer(profile=NAME)`; `latest` is the newest. One more profile describes Open Responses: see"
    yield "the end of this page. A test exercises every cell of these tables and checks the results.\n"
    yield f"| | {' | '.join(f'`{name}`' for name in PROFILES)} |"
    yield "|---|" + "---|" * len(PROFILES)
    for title, fact in _FACTS.items():
        yield f"| {title} | {' | '.join(_fact_text(name, fact) for name in PROFILES)} |"
    table = list(cells())
    for kind, note in _TABLE_NOTES.items():
        yield from _table_lines(kind, note, [cell for cell in table if cell.kind == kind])
    yield from _model_lines()
    yield from _error_lines()
    yield from openresponses_lines()


_FACTS = {
    "base path": "base_path",
    "documented hosts": "hosts",
    "response ids": "id_form",
    "thinks by default": "thinking",
    "levels of `reasoning.effort`": "efforts",
    "reasoning events": "reasoning_events",
    "echoed parameters in a finished response": "echoes",
    "error for a wrong key": "wrong_key",
}


def _fact_text(profile: str, fact: str) -> str:
    value = getattr(load_profile(profile), fact)
    if isinstance(value, ThinkingModels):
        return thinking_text(value)
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
        # The source of the newest profile that has it.
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
    yield "Each profile also has the models of the earlier ones.\n"
    earlier: set[str] = set()
    for profile in PROFILES:
        models = load_profile(profile).models
        new = ", ".join(f"`{name}`" for name in models if name not in earlier)
        earlier |= set(models)
        yield f"- `{profile}`: {new}. Source: {load_profile_document(profile)['facts']['models']['source']}."


_ERRORS_HEAD = """
## Errors

Request an error by name with the header `x-mock-fault: NAME` (with `--allow-mock-headers`; always with
`MockServer` and in pytest), or with `server.fail("NAME")`. The reply then has the header `x-mock-fault` too.

*flat* is `{request_id, code, message}`, *wrapped* `{error: {message, type, param, code}, request_id}`, *bare*
`{error: {message, type}}`. *failed* is a response object with the status `failed`; in a stream it is a single
`response.failed` event. *payload* is one event without a type. *the same* means that a stream is refused
before it begins, like a request without one.

| name | status, form | in a stream | code | message | source |
|---|---|---|---|---|---|"""


def _error_lines() -> Iterator[str]:
    yield _ERRORS_HEAD
    for fault in load_service_faults().values():
        row = [
            f"`{fault.name}`",
            f"{fault.status} {fault.form}",
            _in_stream(fault),
            f"`{fault.code}`",
            _escape_markdown(fault.message),
            fault.source,
        ]
        yield f"| {' | '.join(row)} |"


def _in_stream(fault: ServiceFault) -> str:
    code = f", `{fault.stream_code}`" if fault.stream_code else ""
    return f"200 {fault.stream}{code}" if fault.stream else "the same"


def _escape_markdown(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
