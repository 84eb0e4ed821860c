"""The pages of the folder reference/ about commands, configuration, the admin API, exchange files and schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import click

from docs.markdown import cell, code_cell, docstring_lines, table_lines
from docs.profiles_page import PROFILES
from mockserver import resources
from mockserver.cli.commands import group
from mockserver.contract.chat.service import load_chat_schemas
from mockserver.contract.schema.registry import load_schemas
from mockserver.server.admin.operations import OPERATIONS, admin_schemas
from mockserver.settings import SETTING_NAMES
from mockserver.testing.pytest_plugin.options import add_options
from mockserver.testing.server_settings import ServerSettings
from mockserver.wire import json

if TYPE_CHECKING:
    import pytest

__all__ = ["admin_page", "commands_page", "configuration_page", "exchange_page", "schemas_page"]

_NOTE = "<!-- Written by docs/generate.py from the code: `make docs`. -->\n"

_COMMANDS_HEAD = """\
# Commands

Every option can also be set in `[tool.mockserver]` of the project's `pyproject.toml` or as an environment variable:
see [Configuration](configuration.md). `mockserver COMMAND --help` prints the same as this page.
"""

_CONFIGURATION_HEAD = """\
# Configuration

## Where settings come from

A later source overrides an earlier one.

| sources of a command | sources of a test run |
|---|---|
| `[tool.mockserver]` in `pyproject.toml` | `[tool.mockserver]` in `pyproject.toml` |
| the environment variables `MOCKSERVER_…` | the ini file of pytest |
| the command line | the fixture `responses_config` |
| | the command line of pytest |
| | the marker `@pytest.mark.responses(…)` of a test |

Tests do not read the variables `MOCKSERVER_…`, so they run the same everywhere. A setting that no command has is an
error that names the nearest one. An option that can be repeated is a list in the file, and words separated by spaces in
a variable:

```toml
[tool.mockserver]
profile = "qwen-2026-09"
model = ["qwen3-max-2026-01-23"]
seed = 7
```
"""


def commands_page() -> str:
    """Render the page `reference/cli.md`."""
    lines = [_NOTE + _COMMANDS_HEAD]
    for name, command in _commands():
        lines += _command_lines(name, command)
    return "\n".join(lines)


def _commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, such as `mockserver exchanges new`."""
    context = click.Context(group, **group.context_settings)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"mockserver {name}", command
        if isinstance(command, click.Group):
            for inner, each in command.commands.items():
                yield f"mockserver {name} {inner}", each


def _command_lines(name: str, command: click.Command) -> Iterator[str]:
    parent = click.Context(group, **group.context_settings)
    context = click.Context(command, parent, info_name=name)
    yield f"## {name}\n"
    yield f"```text\n{' '.join([name, *command.collect_usage_pieces(context)])}\n```\n"
    yield from docstring_lines(command.help or "")
    if command.epilog:
        yield from docstring_lines(command.epilog)
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    if options:
        rows = [_option_row(each, context) for each in options]
        yield from table_lines(["option", "default", "meaning"], rows)
        yield ""


def _option_row(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    metavar = "" if option.is_flag else f" {option.metavar or _value_name(option)}"
    names = ", ".join([*option.opts, *option.secondary_opts])
    meaning = option.help or ""
    if isinstance(option.type, click.Choice):
        meaning += f" One of {', '.join(f'`{each}`' for each in option.type.choices)}."
    return code_cell(names + metavar), code_cell(_default(option, context)), cell(meaning)


def _value_name(option: click.Option) -> str:
    return str(option.name).upper() if isinstance(option.type, click.Choice) else option.type.name.upper()


def _default(option: click.Option, context: click.Context) -> str:
    value = option.get_default(context, call=False)
    if not option.show_default or isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return str(value)


def configuration_page() -> str:
    """Render the page `reference/configuration.md`."""
    lines = [_NOTE + _CONFIGURATION_HEAD]
    lines.append("## Settings of the commands\n")
    lines += table_lines(["setting", "variable", "commands", "meaning"], _setting_rows())
    lines.append("\n## Settings of a server in tests\n")
    lines.append(
        "Arguments of `MockServer` and `make_responses_server`; those of `[tool.mockserver]` have the same names.\n"
    )
    types = ServerSettings.__annotations__
    lines += table_lines(
        ["setting", "type"], [(code_cell(name), code_cell(_type_text(types[name]))) for name in types]
    )
    lines.append("\n## Settings of the pytest plugin\n")
    lines.append(
        "Each option of pytest is also a name in its ini file: `--responses-fail-on` is `responses_fail_on`. "
        "[pytest](../pytest.md#settings) shows which of them a marker can set for one test.\n"
    )
    recorder = _OptionRecorder()
    add_options(cast("pytest.Parser", recorder))
    lines += table_lines(["option", "meaning"], recorder.rows)
    return "\n".join(lines) + "\n"


def _setting_rows() -> Iterator[tuple[str, str, str, str]]:
    for name in sorted(SETTING_NAMES):
        uses = {
            command: option
            for command, each in _commands()
            for option in each.params
            if option.name == name and isinstance(option, click.Option) and not option.hidden
        }
        if not uses:
            continue
        option = uses.get("mockserver serve") or next(iter(uses.values()))
        variable = option.envvar if isinstance(option.envvar, str) else ""
        commands = ", ".join(command.removeprefix("mockserver ") for command in uses)
        yield code_cell(name), code_cell(variable), commands, cell(option.help or "")


class _OptionRecorder:
    """Stands in for pytest's parser, and keeps the rows of a table."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def getgroup(self, *_: str) -> _OptionRecorder:
        return self

    def addoption(self, name: str, **values: Any) -> None:
        metavar = (
            " " + "|".join(values["choices"]) if values.get("choices") else f" {values.get('metavar') or ''}"
        )
        self.rows.append((code_cell((name + metavar).strip()), cell(values["help"])))

    def addini(self, *_: str, **__: Any) -> None:
        pass


def _type_text(annotation: Any) -> str:
    return getattr(annotation, "__forward_arg__", None) or str(annotation)


def admin_page() -> str:
    """Render the page `reference/admin-api.md`."""
    lines = [_NOTE + "# Admin API\n"]
    lines.append(
        "`mockserver serve --admin` enables these operations, for a token in the header `x-mock-admin-token`. "
        "[Scripting](../scripting.md#over-http) shows each of them with curl, `fetch` and Go. The server's "
        "`GET /openapi.json` describes them too.\n"
    )
    lines += table_lines(
        ["operation", "effect", "request", "reply"],
        [
            (
                code_cell(f"{each.method} {each.path}"),
                cell(each.summary),
                _schema_link(each.request_schema),
                _schema_link(each.response_schema),
            )
            for each in OPERATIONS
        ],
    )
    for name, schema in admin_schemas().items():
        lines += _schema_lines(name, schema)
    return "\n".join(lines)


def exchange_page() -> str:
    """Render the page `reference/exchange-files.md`."""
    document = json.loads((resources.data_folder("schemas") / "exchange.json").read_bytes())
    lines = [_NOTE + "# Exchange files\n"]
    lines.append(
        "An exchange is a stub in a JSON file. [Scripting](../scripting.md#exchange-files) introduces the format; "
        "this page lists every member. An editor validates and completes exchange files with the schema that "
        "`mockserver schema exchange` prints.\n"
    )
    lines.append(f"{document['description']}\n")
    lines += _member_lines(document)
    for name, schema in document["$defs"].items():
        lines += _schema_lines(name, schema)
    return "\n".join(lines)


def schemas_page() -> str:
    """Render the page `reference/schemas.md`."""
    registries = {profile: load_schemas(profile) for profile in PROFILES}
    titles: dict[str, str] = {}
    for registry in registries.values():
        titles |= {name: each["title"] for name, each in registry.all_schemas().items()}
    lines = [_NOTE + "# Schemas\n"]
    lines.append(
        "`mockserver schema NAME` prints a JSON Schema (draft 2020-12) of a profile, `--bundle` includes all schemas "
        "that it refers to, and `mockserver schema --openapi 3.1` prints the OpenAPI document.\n"
    )
    rows = [
        (
            code_cell(name),
            cell(title),
            ", ".join(each for each in PROFILES if name in registries[each].all_schemas()),
        )
        for name, title in sorted(titles.items())
    ]
    lines += table_lines(["schema", "describes", "profiles"], rows)
    lines.append("\n## Chat Completions\n")
    chat = load_chat_schemas().all_schemas()
    lines += table_lines(
        ["schema", "describes"], [(code_cell(name), cell(each["title"])) for name, each in chat.items()]
    )
    lines.append("\n## Formats of this project\n")
    lines += table_lines(["schema", "describes"], _project_rows())
    return "\n".join(lines) + "\n"


def _project_rows() -> Iterator[tuple[str, str]]:
    for name in ("exchange", "prices", "report", "verification"):
        document = json.loads((resources.data_folder("schemas") / f"{name}.json").read_bytes())
        yield code_cell(name), cell(document["description"])


def _schema_link(name: str | None) -> str:
    if name is None:
        return ""
    return "[exchange](exchange-files.md)" if name == "exchange" else f"[{name}](#{name})"


def _schema_lines(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n## {name}\n"
    yield f"{schema.get('description', '')}\n"
    yield from _member_lines(schema)


def _member_lines(schema: Mapping[str, Any]) -> Iterator[str]:
    members = schema.get("properties")
    if not members:
        return
    required = schema.get("required", ())
    rows = [
        (
            code_cell(name),
            _type_cell(each),
            "yes" if name in required else "",
            cell(each.get("description", "")),
        )
        for name, each in members.items()
    ]
    yield from table_lines(["member", "type", "required", "meaning"], rows)


def _type_cell(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name})" if schema["$ref"].startswith("#/$defs/") else code_cell(name)
    if "const" in schema:
        return code_cell(json.dumps(schema["const"]).decode())
    if "enum" in schema:
        return ", ".join(code_cell(json.dumps(each).decode()) for each in schema["enum"])
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
