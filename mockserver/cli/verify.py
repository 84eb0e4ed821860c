"""`mockserver verify`: check that a live endpoint keeps the contract."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mockserver.cli.errors import EXIT_INCOMPLETE, exit_with_error
from mockserver.cli.interrupts import signals_as_interrupt
from mockserver.cli.name_completions import complete_probes, complete_profiles, complete_report_targets
from mockserver.cli.options import Choice, FiniteRange, IntegerRange, connection_options, mask_option, option
from mockserver.cli.output.report_files import parse_report_targets, replace_report, require_writable_reports
from mockserver.cli.output.terminal import colour_report
from mockserver.cli.reverification import require_reachable, reverify_recordings
from mockserver.contract.detection import ProfileChoice, profiles_for_path
from mockserver.errors import MockServerError
from mockserver.live.baseline import read_baseline, write_baseline
from mockserver.live.budgeted_client import Budget, BudgetedClient
from mockserver.live.client import Client, Timeouts
from mockserver.live.connections import parse_connection_options
from mockserver.live.endpoint import Endpoint, api_key_from_env, parse_endpoint
from mockserver.live.probes import Probe, select_probes
from mockserver.live.profile_choice import detect_profile_of_endpoint, model_for_path
from mockserver.live.report import build_report
from mockserver.live.report_formats import REPORT_FORMATS, write_plan
from mockserver.live.spending import Prices, read_prices
from mockserver.live.verification import Verdict, VerificationRun, detection_request, run_probes
from mockserver.profiles import Profile, load_profile, resolve_profile_name

__all__ = ["verify"]

AUTO = "auto"


@click.command()
@option(
    "--base-url", required=True, metavar="URL", help="The base URL of a client; requests go to URL/responses."
)
@option(
    "--api-key-env",
    default="DASHSCOPE_API_KEY",
    metavar="NAME",
    help="Environment variable with the API key.",
)
@option("--model", default=None, metavar="NAME", help="Model to use; default: the profile's first.")
@option(
    "--profile",
    default=AUTO,
    shell_complete=complete_profiles,
    help="Profile to check against; auto: detected from the path and one reply.",
)
@option(
    "--only",
    multiple=True,
    metavar="ID",
    shell_complete=complete_probes,
    help="Run only this probe; may be repeated.",
)
@option(
    "--skip",
    multiple=True,
    metavar="ID",
    shell_complete=complete_probes,
    help="Skip this probe; may be repeated.",
)
@option("--max-requests", default=100, type=IntegerRange(1), help="Maximum number of requests.")
@option("--max-tokens", default=200_000, type=IntegerRange(0), help="Maximum number of tokens.")
@option(
    "--prices",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="JSON file with the prices of tokens and tool calls; plan and report then show sums of money.",
)
@option("--allow-incomplete", is_flag=True, help="Accept that the budget cuts off a part of the plan.")
@option("--rate", default=2.0, type=FiniteRange(0), help="Maximum requests per second; 0: no limit.")
@option("--dry-run", is_flag=True, help="Print the plan and send no request.")
@option("--seed", default=0, type=int, help="Vary the probe prompts.")
@option("--timeout", default=120.0, type=FiniteRange(0.1), help="Seconds that a reply may take.")
@option("--stall", default=30.0, type=FiniteRange(0.1), help="Seconds of silence allowed within a reply.")
@option("--vector-store", default=None, metavar="ID", help="Your vector store, for the file_search probe.")
@option("--mcp-server", default=None, metavar="URL", help="Your MCP server, for the mcp probe.")
@option("--allow-http", multiple=True, metavar="HOST", help="Allow plain http to this host; may be repeated.")
@connection_options
@option("--baseline", type=click.Path(dir_okay=False, path_type=Path), help="File with accepted drift.")
@option("--accept", is_flag=True, help="Write the drift of this run to the baseline.")
@option(
    "--fail-on",
    type=Choice(["drift", "fail"]),
    default="drift",
    help="Mildest verdict that causes exit status 1.",
)
@option(
    "--replay",
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR",
    help="Send the recorded requests in DIR instead of the probes, and compare the replies.",
)
@option(
    "--report",
    "reports",
    multiple=True,
    metavar="FORMAT=FILE",
    shell_complete=complete_report_targets,
    help="Write a report (text, json, junit, markdown, html); may be repeated.",
)
@mask_option
def verify(base_url: str, api_key_env: str, dry_run: bool, **options: Any) -> None:
    """Check that a live endpoint keeps the contract.

    Prints the plan and its cost, then runs the probes. With --replay, sends recorded requests instead of
    probes and compares the replies with the recorded ones.
    """
    try:
        targets = parse_report_targets(options["reports"], REPORT_FORMATS)
        probes = select_probes(options["only"], options["skip"])
        if options["accept"] and options["baseline"] is None:
            exit_with_error("--accept needs --baseline FILE", 2)
        baseline = read_baseline(options["baseline"]) if options["baseline"] else frozenset()
        key = "-" if dry_run else api_key_from_env(os.environ, api_key_env)
        endpoint = parse_endpoint(
            base_url,
            key,
            api_key_env,
            options["allow_http"],
            parse_connection_options(options["ca_file"], options["proxy"]),
        )
        prices = read_prices(options["prices"]) if options["prices"] else None
        if options["replay"] is not None:
            if prices is not None:
                exit_with_error("--prices applies to the probes; do not combine it with --replay", 2)
            raise SystemExit(reverify_recordings(endpoint, targets, options, dry_run=dry_run))
        raise SystemExit(_verify_endpoint(endpoint, probes, baseline, prices, targets, dry_run, options))
    except KeyboardInterrupt:
        exit_with_error("interrupted", 2)
    except MockServerError as error:
        exit_with_error(str(error), 2)


def _verify_endpoint(
    endpoint: Endpoint,
    probes: list[Probe],
    baseline: frozenset[tuple[str, str]],
    prices: Prices | None,
    targets: list[tuple[str, Path]],
    dry_run: bool,
    options: dict[str, Any],
) -> int:
    client = Client(endpoint, Timeouts(options["timeout"], options["stall"]))
    try:
        budget = Budget(options["max_requests"], options["max_tokens"])
        budgeted_client = BudgetedClient(client, budget, options["rate"])
        if not dry_run:
            require_writable_reports(targets)
        choice = _choose_profile(endpoint, budgeted_client, probes, options, dry_run)
        profile = load_profile(choice.profile)
        model = options["model"] or _default_model(profile, endpoint)
        if model is None:
            exit_with_error(f"the profile {profile.name} lists no model: name one with --model", 2)
        if prices is not None:
            prices.require_model(model)
        run = VerificationRun(
            endpoint,
            choice.profile,
            choice.reason,
            model,
            options["seed"],
            tuple(probes),
            baseline=baseline,
            allow_incomplete=options["allow_incomplete"],
            prices=prices,
            user_resources={key: options[key] for key in ("vector_store", "mcp_server") if options[key]},
        )
        rows = [
            (each.id, each.title, each.requests, each.tokens, each.skip_reason(profile)) for each in probes
        ]
        sys.stderr.write(write_plan(build_report(run), rows, (budget.max_requests, budget.max_tokens)))
        if dry_run:
            return 0
        return _run_and_report(run, budgeted_client, targets, options)
    finally:
        client.close()


def _choose_profile(
    endpoint: Endpoint,
    budgeted_client: BudgetedClient,
    probes: list[Probe],
    options: dict[str, Any],
    dry_run: bool,
) -> ProfileChoice:
    if options["profile"] != AUTO:
        choice = ProfileChoice(load_profile(resolve_profile_name(options["profile"])).name, "by --profile")
        if not dry_run:
            require_reachable(endpoint)
        return choice
    if dry_run:
        candidates = profiles_for_path(endpoint.base_url)
        if not candidates:
            exit_with_error(
                "cannot detect the profile from the URL, and --dry-run sends no request: name it with --profile",
                2,
            )
        return ProfileChoice(candidates[-1].name, "by its path alone (dry run)")
    require_reachable(endpoint)
    model = options["model"] or model_for_path(endpoint.base_url)
    request = detection_request(probes, model, options["seed"])
    return detect_profile_of_endpoint(endpoint, budgeted_client, request)


def _default_model(profile: Profile, endpoint: Endpoint) -> str | None:
    """The model that detected the profile if the profile accepts it, otherwise the profile's first model."""
    model = model_for_path(endpoint.base_url)
    return model if profile.any_model or model in profile.models else next(iter(profile.models), None)


def _run_and_report(
    run: VerificationRun,
    budgeted_client: BudgetedClient,
    targets: Sequence[tuple[str, Path]],
    options: dict[str, Any],
) -> int:
    stopped: str | None = None
    try:
        with _show_progress(run) as (on_start, on_end), signals_as_interrupt():
            run_probes(run, budgeted_client, on_start, on_end)
    except KeyboardInterrupt:
        run.partial_reason = stopped = "interrupted"
    except MockServerError as error:
        run.partial_reason = stopped = str(error)
    finally:
        _write_reports(run, targets)
    if stopped is None or _has_usable_reply(run):
        sys.stdout.write(colour_report(REPORT_FORMATS["text"](build_report(run), run), sys.stdout))
        sys.stdout.flush()
    if stopped is not None:
        exit_with_error(stopped, 2)
    return _exit_status(run, options)


def _has_usable_reply(run: VerificationRun) -> bool:
    """Whether a report would say more than that the endpoint is not there."""
    return any(each.status not in (None, 404) for one in run.results for each in one.interactions)


def _exit_status(run: VerificationRun, options: dict[str, Any]) -> int:
    drift = [each.key for each in run.findings if not each.first.is_failure]
    if options["accept"]:
        write_baseline(options["baseline"], {*run.baseline, *drift})
    new = run.has_new_drift and not options["accept"] and options["fail_on"] == "drift"
    if run.has_failures or new:
        return 1
    if any(each.is_cut_off and each.verdict is Verdict.NOT_COVERED for each in run.results):
        return 0 if run.allow_incomplete else EXIT_INCOMPLETE
    if all(each.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_COVERED) for each in run.results):
        return 2
    return EXIT_INCOMPLETE if run.progress.incomplete and not run.allow_incomplete else 0


def _write_reports(run: VerificationRun, targets: Sequence[tuple[str, Path]]) -> None:
    value = build_report(run) if targets else {}
    for form, target in targets:
        replace_report(target, REPORT_FORMATS[form](value, run))


@contextmanager
def _show_progress(run: VerificationRun) -> Iterator[tuple[Callable[[Probe], None], Callable[[], None]]]:
    """(callback for a probe's start, callback for its end): a bar on a terminal, otherwise a line for each probe."""
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
