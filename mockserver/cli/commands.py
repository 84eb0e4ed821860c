"""The commands as click has them: one module a subcommand, each loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from mockserver import __version__
from mockserver.cli.errors import exit_with_error, project_settings
from mockserver.errors import ConfigurationError

__all__ = ["group"]

_COMMAND_SUMMARIES = {
    "check": "Judge files against the contract.",
    "diff": "Tell what changed in the contract between two recordings, reports or profiles.",
    "exchanges": "Check exchange files, or write new ones.",
    "faults": "List the faults that can be asked for by name.",
    "fuzz": "Find the smallest stream that breaks a client, in any language.",
    "record": "Pass on what clients ask an endpoint, judge it, and keep it as files.",
    "replay": "Serve recordings: the same bytes, at the same pace or at once.",
    "rules": "List the rules of the contract, or explain one.",
    "run": "Run a command against the mock and judge every request it sends.",
    "schema": "Print the schemas of a profile, or its OpenAPI document.",
    "serve": "Serve the mock in the foreground.",
    "verify": "Ask a live endpoint whether it keeps the contract.",
}


class _LazyGroup(click.Group):
    """Knows the names of its commands, and loads the one that is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMAND_SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMAND_SUMMARIES:
            return None
        command: click.Command = getattr(import_module(f"mockserver.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMAND_SUMMARIES.items()))

    def _require_known_settings(self, ctx: click.Context, settings: dict[str, Any]) -> None:
        """ConfigurationError for a setting that no command has: a slip of the pen would go unseen."""
        if not settings:
            return
        commands = [command for name in _COMMAND_SUMMARIES if (command := self.get_command(ctx, name))]
        known = {str(option.name) for command in commands for option in command.params}
        for name in sorted(settings.keys() - known):
            message = f"pyproject.toml, [tool.mockserver]: there is no setting {name!r}; there are: "
            raise ConfigurationError(message + ", ".join(sorted(known)))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            table = project_settings()
            self._require_known_settings(ctx, table)
        except ConfigurationError as error:
            exit_with_error(str(error), 2)
        ctx.default_map = dict.fromkeys(_COMMAND_SUMMARIES, table)
        return super().invoke(ctx)


@click.command("mockserver", cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mockserver")
def group() -> None:
    """A mock server and contract-testing kit for Qwen's Responses API.

    Options can also be set in [tool.mockserver] of pyproject.toml or as MOCKSERVER_… variables; the
    command line wins over variables, and those over the file.
    """
