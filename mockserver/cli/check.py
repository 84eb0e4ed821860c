"""`mockserver check`: judge files against the contract."""

from __future__ import annotations

from typing import Any

import click

from mockserver.cli.check_runner import KINDS, run_check
from mockserver.cli.options import option
from mockserver.cli.output.report_formats import REPORT_FORMATS
from mockserver.contract.files import AUTO
from mockserver.contract.findings import Severity

__all__ = ["check"]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@option("--profile", default=AUTO, help="The age or service to judge by; auto: as the file's marks tell.")
@option("--kind", type=click.Choice(KINDS), default=AUTO, help="What the files are.")
@option("style", "--format", type=click.Choice(list(REPORT_FORMATS)), default="text", help="What to print.")
@option(
    "--report", multiple=True, metavar="FORMAT=FILE", help="Also write a report to a file; may be repeated."
)
@option(
    "--fail-on",
    type=click.Choice([each.value for each in Severity]),
    default="error",
    help="The mildest finding that makes the exit status 1.",
)
@option("--ignore", multiple=True, metavar="RULE", help="Pass over a rule; may be repeated.")
def check(files: tuple[str, ...], **options: Any) -> None:
    """Judge files against the contract: requests, responses, errors, streams and exchanges.

    FILE may be JSON, an array or JSON Lines of events, raw server-sent events, each with or without the
    HTTP head of `curl -i`, or an exchange; - is standard input. `mockserver rules` explains each rule.

    Requests, completions and streams of Chat Completions are judged too; of such a request it is told what
    its Responses form is, and what of it has none.

    Exit status: 0 nothing found, 1 a finding at or above --fail-on, 2 unusable arguments or files.
    """
    raise SystemExit(run_check(files, **options))
