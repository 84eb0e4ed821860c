"""`mockserver verify`: ask a live endpoint whether it keeps the contract."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from mockserver.cli.errors import exit_with_error
from mockserver.cli.options import option
from mockserver.cli.reverification import reverify_recordings
from mockserver.errors import MockServerError
from mockserver.live.baseline import read_baseline, write_baseline
from mockserver.live.budgeted_client import Budget, BudgetedClient
from mockserver.live.client import Client, Timeouts
from mockserver.live.endpoint import Endpoint, api_key_from_env, parse_endpoint
from mockserver.live.probes import Probe, select_probes
from mockserver.live.report import build_report
from mockserver.live.report_formats import REPORT_FORMATS, write_plan
from mockserver.live.verification import (
    Verdict,
    VerificationRun,
    profile_for_endpoint,
    profiles_for_path,
    run_probes,
)
from mockserver.profiles import load_profile

__all__ = ["verify"]

AUTO = "auto"


@click.command()
@option("--base-url", required=True, metavar="URL", help="What goes into a client: URL/responses is asked.")
@option("--api-key-env", default="DASHSCOPE_API_KEY", metavar="NAME", help="The variable that holds the key.")
@option("--model", default=None, metavar="NAME", help="The model to ask; default: the profile's first.")
@option("--profile", default=AUTO, help="The age to judge by; auto: as the path and one answer tell.")
@option("--only", multiple=True, metavar="ID", help="Run this probe alone; may be repeated.")
@option("--skip", multiple=True, metavar="ID", help="Leave a probe out; may be repeated.")
@option("--max-requests", default=100, type=click.IntRange(1), help="Requests to send at the most.")
@option("--max-tokens", default=200_000, type=click.IntRange(0), help="Tokens to spend at the most.")
@option("--rate", default=2.0, type=click.FloatRange(0), help="Requests a second at the most; 0: no limit.")
@option("--dry-run", is_flag=True, help="Print the plan and ask nothing.")
@option("--seed", default=0, type=int, help="Makes this run's questions others than another's.")
@option(
    "--timeout", default=120.0, type=click.FloatRange(0.1), help="Seconds that an answer may take in all."
)
@option("--stall", default=30.0, type=click.FloatRange(0.1), help="Seconds of silence within an answer.")
@option("--vector-store", default=None, metavar="ID", help="A vector store of yours, for file_search.")
@option("--mcp-server", default=None, metavar="URL", help="An MCP server of yours, for mcp.")
@option("--allow-http", multiple=True, metavar="HOST", help="A host that may be asked over plain http.")
@option("--baseline", type=click.Path(dir_okay=False, path_type=Path), help="Drift that was accepted.")
@option("--accept", is_flag=True, help="Write the drift that is found to the baseline.")
@option(
    "--fail-on",
    type=click.Choice(["drift", "fail"]),
    default="drift",
    help="The mildest verdict that makes the exit status 1.",
)
@option(
    "--replay",
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR",
    help="Instead of the probes, send what was recorded there, and compare by meaning.",
)
@option(
    "--report", "reports", multiple=True, metavar="FORM=FILE", help="Also write a report; may be repeated."
)
def verify(base_url: str, api_key_env: str, dry_run: bool, **options: Any) -> None:
    """Ask a live endpoint whether it keeps the contract.

    First the plan and what it can cost, then the probes. What was not asked is never called passed. With
    --replay, the requests of recordings take the place of probes, and their answers that of the contract.

    Exit status: 0 pass, or drift that the baseline has; 1 fail, or new drift; 2 it could not be run.
    """
    try:
        targets = [_parse_report_target(each) for each in options["reports"]]
        probes = select_probes(options["only"], options["skip"])
        if options["accept"] and options["baseline"] is None:
            exit_with_error("--accept writes the drift to the file of --baseline, which is missing", 2)
        baseline = read_baseline(options["baseline"]) if options["baseline"] else frozenset()
        key = "-" if dry_run else api_key_from_env(os.environ, api_key_env)
        place = parse_endpoint(base_url, key, api_key_env, options["allow_http"])
        if options["replay"] is not None:
            raise SystemExit(reverify_recordings(place, targets, options, dry_run=dry_run))
        raise SystemExit(_verify_endpoint(place, probes, baseline, targets, dry_run, options))
    except MockServerError as error:
        exit_with_error(str(error), 2)


def _parse_report_target(option: str) -> tuple[str, Path]:
    name, equals, file = option.partition("=")
    if not equals or not file or name not in REPORT_FORMATS:
        exit_with_error(
            f"--report {option}: must be FORM=FILE, with a form of {', '.join(REPORT_FORMATS)}", 2
        )
    return name, Path(file)


def _verify_endpoint(
    endpoint: Endpoint,
    probes: list[Probe],
    baseline: frozenset[tuple[str, str]],
    targets: list[tuple[str, Path]],
    dry_run: bool,
    options: dict[str, Any],
) -> int:
    client = Client(endpoint, Timeouts(options["timeout"], options["stall"]))
    try:
        budget = Budget(options["max_requests"], options["max_tokens"])
        asker = BudgetedClient(client, budget, options["rate"])
        profile, why = _choose_profile(endpoint, asker, options["profile"], dry_run)
        known = load_profile(profile)
        model = options["model"] or next(iter(known.models), None)
        if model is None:
            exit_with_error(f"the profile {profile} names no model: name one with --model", 2)
        own = {name: options[name] for name in ("vector_store", "mcp_server") if options[name]}
        run = VerificationRun(
            endpoint,
            profile,
            why,
            model,
            options["seed"],
            tuple(probes),
            baseline=baseline,
            user_resources=own,
        )
        rows = [(each.id, each.title, each.requests, each.tokens, each.skip_reason(known)) for each in probes]
        sys.stderr.write(write_plan(build_report(run), rows, (budget.max_requests, budget.max_tokens)))
        if dry_run:
            return 0
        return _run_and_report(run, asker, targets, options)
    finally:
        client.close()


def _choose_profile(
    endpoint: Endpoint, budgeted_client: BudgetedClient, option: str, dry_run: bool
) -> tuple[str, str]:
    if option != AUTO:
        return load_profile(option).name, "as asked"
    if dry_run:
        candidates = profiles_for_path(endpoint.base_url)
        if not candidates:
            exit_with_error(
                "nothing in the URL tells the profile, and --dry-run asks nothing: name it with --profile", 2
            )
        return candidates[-1].name, "by its path, as far as that tells"
    return profile_for_endpoint(endpoint, budgeted_client)


def _run_and_report(
    run: VerificationRun,
    budgeted_client: BudgetedClient,
    targets: Sequence[tuple[str, Path]],
    options: dict[str, Any],
) -> int:
    stopped: str | None = None
    with _show_progress(run) as (begun, done), _sigterm_as_interrupt():
        try:
            run_probes(run, budgeted_client, begun, lambda: _on_probe_finished(done, run, targets))
        except KeyboardInterrupt:
            run.partial_reason = stopped = "interrupted"
        except MockServerError as error:
            run.partial_reason = stopped = str(error)
    _write_reports(run, targets)
    sys.stdout.write(REPORT_FORMATS["text"](build_report(run), run))
    sys.stdout.flush()
    if stopped is not None:
        exit_with_error(stopped, 2)
    return _exit_status(run, options)


def _on_probe_finished(
    advance: Callable[[], None], run: VerificationRun, targets: Sequence[tuple[str, Path]]
) -> None:
    advance()
    _write_reports(run, targets)


def _exit_status(run: VerificationRun, options: dict[str, Any]) -> int:
    drift = [each.key for each in run.findings if not each.first.is_failure]
    if options["accept"]:
        write_baseline(options["baseline"], {*run.baseline, *drift})
    new = run.has_new_drift and not options["accept"] and options["fail_on"] == "drift"
    nothing = all(each.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_COVERED) for each in run.results)
    return 2 if nothing else int(run.has_failures or new)


def _write_reports(run: VerificationRun, targets: Sequence[tuple[str, Path]]) -> None:
    """Write the reports anew; whoever looks in the meantime sees a whole one."""
    value = build_report(run) if targets else {}
    for form, target in targets:
        part = target.with_name(f"{target.name}.part")
        try:
            part.write_text(REPORT_FORMATS[form](value, run), encoding="utf-8")
            part.replace(target)
        except OSError as error:
            exit_with_error(f"can not write {target}: {error.strerror or error}", 2)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does: with a report that says it is partial."""

    def stop(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _show_progress(run: VerificationRun) -> Iterator[tuple[Callable[[Probe], None], Callable[[], None]]]:
    """(what to call as a probe begins, and as it is done): a bar on a terminal, else a line each."""
    total = len(run.probes)
    if not sys.stderr.isatty():
        yield lambda _: None, lambda: _print_progress(run, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield (
            lambda probe: bar.update(task, description=probe.id),
            lambda: bar.advance(task),
        )


def _print_progress(run: VerificationRun, total: int) -> None:
    last = run.results[-1]
    print(f"[{len(run.results)}/{total}] {last.probe.id}: {last.verdict}", file=sys.stderr, flush=True)
