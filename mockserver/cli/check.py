"""`mockserver check`: check files against the contract."""

from __future__ import annotations

from typing import Any

import click

from mockserver.cli.check_runner import KINDS, run_check
from mockserver.cli.name_completions import (
    complete_files,
    complete_profiles,
    complete_rules,
)
from mockserver.cli.options import Choice, finding_options, mask_option, option
from mockserver.cli.output.report_formats import REPORT_FORMATS
from mockserver.contract.files import AUTO

__all__ = ["check"]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…", shell_complete=complete_files)
@option(
    "--profile",
    default=AUTO,
    shell_complete=complete_profiles,
    help="The profile to check against; auto: detect it from the file.",
)
@option("--kind", type=Choice(KINDS), default=AUTO, help="What the files hold.")
@option(
    "style",
    "--format",
    type=Choice(list(REPORT_FORMATS)),
    default="text",
    help="The format of the output.",
)
@finding_options
@option(
    "--ignore",
    multiple=True,
    metavar="RULE",
    shell_complete=complete_rules,
    help="Ignore a rule. Can be repeated.",
)
@mask_option
def check(files: tuple[str, ...], **options: Any) -> None:
    """Check files against the contract: requests, responses, errors, streams and exchanges.

    FILE can hold JSON, an array or JSON Lines of events, or raw server-sent events, each with or without
    the HTTP head that `curl -i` prints, or an exchange. - reads standard input. `mockserver rules` explains
    each rule.

    Chat Completions requests, completions and streams are checked too. For a chat request, the output also
    shows the equivalent Responses request and the members that have no equivalent.
    """
    raise SystemExit(run_check(files, **options))
