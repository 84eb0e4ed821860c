"""`mockserver schema`: print the schemas of a profile, or its OpenAPI document."""

from __future__ import annotations

import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from mockserver import resources
from mockserver.cli.errors import exit_with_error
from mockserver.cli.name_completions import complete_profiles, matching_names
from mockserver.cli.options import Choice, option
from mockserver.contract.chat.service import load_chat_schemas
from mockserver.contract.openapi.document import OPENAPI_VERSIONS, openapi_document
from mockserver.contract.schema.overlays import rewrite_references
from mockserver.contract.schema.registry import ProfileSchemas, load_schemas
from mockserver.errors import MockServerError
from mockserver.profiles import DEFAULT_PROFILE, resolve_profile_name
from mockserver.wire import json

__all__ = ["schema"]

#: Schemas of this project's own formats, the same in every profile.
_PROJECT_SCHEMAS = ("exchange", "exchange_file", "prices", "report", "verification")


def _complete_schemas(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The schemas of the profile that the command line names."""
    schemas = load_schemas(resolve_profile_name(context.params.get("profile")))
    names = [*schemas.all_schemas(), *load_chat_schemas().all_schemas(), *_PROJECT_SCHEMAS]
    return matching_names(dict.fromkeys(names, ""), incomplete)


@click.command()
@click.argument("name", required=False, shell_complete=_complete_schemas)
@option("--profile", default=DEFAULT_PROFILE, shell_complete=complete_profiles, help="The profile.")
@click.option("--bundle", is_flag=True, help="Include all referenced schemas in one document.")
@click.option(
    "--openapi",
    type=Choice(list(OPENAPI_VERSIONS)),
    help="Print the profile's OpenAPI document in this version of OpenAPI.",
)
def schema(name: str | None, profile: str, bundle: bool, openapi: str | None) -> None:
    """Print a JSON Schema of a profile. Without NAME, list the schemas, or print all of them with --bundle.

    exchange, exchange_file, prices, report and verification are this project's own formats. The schemas
    chat_… describe Chat Completions and are the same in every profile.
    """
    if openapi is not None and (name is not None or bundle):
        exit_with_error("--openapi prints the whole document; do not combine it with NAME or --bundle", 2)
    try:
        profile = resolve_profile_name(profile)
        if openapi is not None:
            _print_json(openapi_document(profile, openapi))
        elif name == "exchange_file":
            _print_json(_project_schema(name))
        elif name in _PROJECT_SCHEMAS:
            sys.stdout.buffer.write(_read_project_schema(name))
        elif name is not None:
            schemas = load_chat_schemas() if name in load_chat_schemas().names else load_schemas(profile)
            _print_json(schemas.document(name) if bundle else schemas.schema(name))
        elif bundle:
            _print_json(_bundle_all(load_schemas(profile)))
        else:
            _print_schema_names(load_schemas(profile))
    except MockServerError as error:
        exit_with_error(str(error), 2)


def _print_json(value: Any) -> None:
    sys.stdout.buffer.write(json.pretty(value))


def _print_schema_names(schemas: ProfileSchemas) -> None:
    for name, each in schemas.all_schemas().items():
        print(f"{name:48}{each['title']}")
    for name, each in load_chat_schemas().all_schemas().items():
        print(f"{name:48}{each['title']}")
    for name in _PROJECT_SCHEMAS:
        print(f"{name:48}{_project_schema(name)['title']}")


def _read_project_schema(name: str) -> bytes:
    return (resources.data_folder("schemas") / f"{name}.json").read_bytes()


def _project_schema(name: str) -> dict[str, Any]:
    if name != "exchange_file":
        schema: dict[str, Any] = json.loads(_read_project_schema(name))
        return schema
    exchange = _project_schema("exchange")
    reference = {"$ref": "#/$defs/exchange"}
    return {
        "$schema": exchange.pop("$schema"),
        "title": "an exchange file",
        "description": "One exchange, or an array of them.",
        "anyOf": [reference, {"type": "array", "items": reference}],
        "$defs": {**exchange.pop("$defs"), "exchange": exchange},
    }


def _bundle_all(schemas: ProfileSchemas) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Schemas of {schemas.profile}",
        "$defs": {name: rewrite_references(each, "#/$defs/") for name, each in schemas.all_schemas().items()},
    }
