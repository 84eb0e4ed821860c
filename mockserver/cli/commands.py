"""The click group `mockserver`: one module for each command, imported when the command runs."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mockserver import __version__
from mockserver.cli.command_help import epilog
from mockserver.cli.errors import exit_with_error, project_settings
from mockserver.cli.garbage_collection import paused_collection
from mockserver.errors import ConfigurationError
from mockserver.settings import ENV_PREFIX, SETTING_NAMES
from mockserver.suggestions import choose_from, find_nearest
from mockserver.wire.masks import masks_from_settings, use_masks

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["group"]

_COMMAND_SUMMARIES = {
    "check": "Check files against the contract.",
    "completion": "Print the script that completes commands and names in a shell.",
    "doctor": "Report what may keep the mock from working here.",
    "diff": "Compare two recordings, reports or profiles.",
    "exchanges": "Check or draft exchange files.",
    "faults": "List the faults, or describe one.",
    "fuzz": "Find the smallest response that breaks a client in any language.",
    "health": "Exit with 0 if a server is ready, for container health checks.",
    "init": "Write a first test and a workflow into a project.",
    "record": "Forward requests to an endpoint, check and record them.",
    "replay": "Serve recordings, at the recorded pace or at once.",
    "rules": "List the rules of the contract, or explain one.",
    "run": "Run a command against the mock server and check its requests.",
    "schema": "Print the schemas of a profile, or its OpenAPI document.",
    "serve": "Run the mock server.",
    "verify": "Check whether a live endpoint follows the contract.",
}

#: Names that are not options: `mockserver fuzz` sets these variables for the command that it tests.
_FUZZ_VARIABLES = frozenset({"case", "input", "stream"})
#: Variables of other programs may begin alike, so only a name with hardly a letter wrong is a typo.
_TYPO_SIMILARITY = 0.85


class _LazyGroup(click.Group):
    """Lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMAND_SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMAND_SUMMARIES:
            return None
        with paused_collection():
            module = import_module(f"mockserver.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        command.epilog = epilog(cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = click.utils.make_str(args[0])
        if name not in _COMMAND_SUMMARIES and not name.startswith("-"):
            ctx.fail(f"No such command {name!r}{choose_from(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=summary)
            for name, summary in sorted(_COMMAND_SUMMARIES.items())
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMAND_SUMMARIES.items()))

    def _require_known_settings(self, ctx: click.Context, settings: dict[str, Any]) -> None:
        """Raise ConfigurationError for a setting of no command: a typo would have no effect."""
        if not settings:
            return
        commands = [command for name in _COMMAND_SUMMARIES if (command := self.get_command(ctx, name))]
        known = {str(option.name) for command in commands for option in command.params}
        for name in sorted(settings.keys() - known):
            choices = choose_from(name, sorted(known))
            raise ConfigurationError(f"pyproject.toml, [tool.mockserver]: no setting {name!r}{choices}")

    def invoke(self, ctx: click.Context) -> Any:
        try:
            table = project_settings()
            self._require_known_settings(ctx, table)
            use_masks(masks_from_settings(table))
        except ConfigurationError as error:
            exit_with_error(str(error), 2)
        _note_misspelt_variables(os.environ)
        ctx.default_map = dict.fromkeys(_COMMAND_SUMMARIES, table)
        try:
            return super().invoke(ctx)
        except click.BadParameter as error:
            _name_source(error)
            if "iterable" in error.message and error.param is not None:
                message = f'It must be a list: {error.param.name} = ["…"].'
                raise click.BadParameter(message, error.ctx, error.param, error.param_hint) from None
            raise
        except click.UsageError as error:
            number = re.search(r"unexpected extra argument \(([0-9]+)\)", error.message)
            if number is None or not _has_port(error.ctx):
                raise
            raise click.UsageError(f"{error.message}; did you mean --port {number[1]}?", error.ctx) from None


def _has_port(ctx: click.Context | None) -> bool:
    return ctx is not None and any(each.name == "port" for each in ctx.command.params)


def _name_source(error: click.BadParameter) -> None:
    """Name the source of an invalid value that is not on the command line."""
    if error.ctx and error.param and error.param.name:
        source = error.ctx.get_parameter_source(error.param.name)
        if source is ParameterSource.DEFAULT_MAP:
            error.param_hint = f"'{error.param.name}' in pyproject.toml, [tool.mockserver]"
        elif source is ParameterSource.ENVIRONMENT:
            error.param_hint = f"the variable {error.param.envvar}"


def _note_misspelt_variables(environment: Mapping[str, str]) -> None:
    """Say it if a variable has almost the name of an option: it has no effect."""
    for variable in sorted(environment):
        name = variable.removeprefix(ENV_PREFIX).lower()
        if name == variable.lower() or name in SETTING_NAMES or name in _FUZZ_VARIABLES:
            continue
        nearest = find_nearest(name, SETTING_NAMES, min_similarity=_TYPO_SIMILARITY)
        if nearest is not None:
            suggestion = f"{ENV_PREFIX}{nearest.upper()}"
            message = f"mockserver: note: {variable} has no effect; did you mean {suggestion}?"
            print(message, file=sys.stderr, flush=True)


@click.command("mockserver", cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mockserver")
def group() -> None:
    """A mock server and contract-testing kit for Qwen's Responses API.

    You can also set options in [tool.mockserver] of pyproject.toml or as MOCKSERVER_… environment
    variables. The command line overrides the variables, and the variables override the file.
    """
