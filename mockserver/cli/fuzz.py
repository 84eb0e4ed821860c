"""`mockserver fuzz`: find the smallest answer that breaks a client, whatever it is written in."""

from __future__ import annotations

import random
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mockserver.cli.errors import exit_with_error
from mockserver.cli.options import option
from mockserver.contract.formatting import escape_unprintable
from mockserver.errors import MockServerError
from mockserver.profiles import DEFAULT_PROFILE, load_profile

if TYPE_CHECKING:
    from mockserver.testing.fuzzing.command_runner import CommandRunner
    from mockserver.testing.fuzzing.search import FailingCase, Search

__all__ = ["fuzz"]

#: Seconds between two lines of progress where there is no terminal.
_PROGRESS_INTERVAL_SECONDS = 5.0


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
@option("--profile", default=DEFAULT_PROFILE, help="The age of the service to play.")
@option("--rendering", default="wire", help="wire: what the service sends; documented: as its samples look.")
@option("--model", default=None, metavar="NAME", help="The model to ask for; default: the profile's first.")
@option("--examples", default=100, type=click.IntRange(1), help="Cases to draw.")
@option("--seed", type=int, help="Draw the same cases again; default: others each time.")
@option("--jobs", default=1, type=click.IntRange(1, 64), help="Commands to run at once.")
@option("--timeout", default=10.0, type=click.FloatRange(0.1), help="Seconds that a command may take.")
@option(
    "--expect",
    type=click.Choice(["exit", "text"]),
    default="exit",
    help="exit: status 0 is understanding; text: standard output must be the answer's text, too.",
)
@option("--skip", multiple=True, metavar="KIND", help="Leave out a kind of case; may be repeated.")
@option(
    "--cases",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".mockserver/cases"),
    help="Where failures are kept.",
)
@click.option("--replay", metavar="ID", help="Play one kept case again, by its id or the path of its file.")
def fuzz(command: tuple[str, ...], **options: Any) -> None:
    """Find the smallest answer that breaks a client.

    For each case the command is run with OPENAI_BASE_URL, OPENAI_API_KEY, DASHSCOPE_API_KEY,
    MOCKSERVER_MODEL, MOCKSERVER_INPUT, MOCKSERVER_STREAM (0 or 1), MOCKSERVER_CASE and
    MOCKSERVER_TIMEOUT (seconds it has). It must send a request, and end in time. Exit status 0 means "I
    understood": right for a legal answer, wrong for one that is cut, failed, refused or never ends. The
    requests it sends are judged, too.

    Kinds of cases, for --skip: failed, cut, closed, error, dropped, reset, empty, refused, stalled; cuts,
    framing, unknown, members, long.

    Exit status: 0 nothing found, 1 a case that breaks the client, 2 it could not be run.
    """
    try:
        from mockserver.testing.fuzzing.case_plan import CASE_FAULTS, LEGAL_VARIATIONS
    except ImportError as error:
        exit_with_error(f"{error.name} is missing: pip install 'responses-mockserver[pytest]'", 2)
    unknown = sorted(set(options["skip"]) - {*CASE_FAULTS, *LEGAL_VARIATIONS})
    if unknown:
        exit_with_error(f"--skip {unknown[0]}: there are: {', '.join((*CASE_FAULTS, *LEGAL_VARIATIONS))}", 2)
    try:
        raise SystemExit(_run_fuzz(command, options))
    except MockServerError as error:
        exit_with_error(str(error), 2)
    except OSError as error:
        exit_with_error(f"can not keep a case in {options['cases']}: {error.strerror or error}", 2)
    except KeyboardInterrupt:
        exit_with_error("interrupted", 130)


def _run_fuzz(command: Sequence[str], options: dict[str, Any]) -> int:
    from mockserver.server.state.sessions import AnyModel
    from mockserver.testing.client_processes import ClientProcesses
    from mockserver.testing.fuzzing.case_server import CaseServer
    from mockserver.testing.fuzzing.command_runner import CommandRunner

    profile, model = load_profile(options["profile"]), options["model"] or ""
    children = ClientProcesses()
    models = AnyModel() if model not in ("", *profile.models) else None
    with CaseServer(profile=profile.name, rendering=options["rendering"], models=models) as door:
        play = CommandRunner(command, door, children, options["timeout"], options["expect"] == "text", model)
        try:
            if options["replay"]:
                return _replay_case(play, options)
            return _search_failing_case(play, options)
        finally:
            children.close()


def _replay_case(runner: CommandRunner, options: dict[str, Any]) -> int:
    from mockserver.testing.fuzzing.case_descriptions import describe_case
    from mockserver.testing.fuzzing.outcomes import check_outcome
    from mockserver.testing.fuzzing.saved_cases import load_plan
    from mockserver.testing.fuzzing.search import FailingCase

    plan = load_plan(options["cases"], options["replay"], runner.server.context.profile.name)
    outcome = runner(plan)
    failure = check_outcome(plan, outcome)
    if failure is None:
        print(f"passed: case {plan.id}, {outcome.end_reason}")
        print("\n".join(describe_case(plan, runner.server.context)))
        return 0
    _print_failing_case(FailingCase(plan, outcome, failure), runner, options)
    return 1


def _search_failing_case(runner: CommandRunner, options: dict[str, Any]) -> int:
    from mockserver.testing.fuzzing.case_descriptions import payloads_before_fault
    from mockserver.testing.fuzzing.saved_cases import load_saved_plans, save_case
    from mockserver.testing.fuzzing.search import Search

    profile = runner.server.context.profile
    number = random.randrange(1 << 32) if options["seed"] is None else options["seed"]
    search = Search(runner, profile, options["examples"], number, options["jobs"], options["skip"])
    begun = time.monotonic()
    with _show_progress(search):
        found = search.run(load_saved_plans(options["cases"], profile.name))
    if found is None:
        print(f"nothing found: {search.cases_run} cases in {time.monotonic() - begun:.1f} s, seed {number}")
        return 0
    shown = payloads_before_fault(found.plan, runner.server.context)
    save_case(options["cases"], found.plan, found.failure, profile.name, shown)
    _print_failing_case(found, runner, options)
    took = f"{found.cases_run} cases to find it, {found.shrink_runs} to make it small"
    print(f"{took}; {time.monotonic() - begun:.1f} s, seed {number}")
    return 1


def _print_failing_case(failing_case: FailingCase, runner: CommandRunner, options: dict[str, Any]) -> None:
    from mockserver.testing.fuzzing.case_descriptions import describe_case
    from mockserver.testing.fuzzing.diagnosis import find_cause

    print(f"FAILED: {failing_case.failure.message}")
    print(f"Broke:  {find_cause(failing_case, runner)}")
    for line in failing_case.failure.details:
        print(f"  {line}")
    print("\n".join(describe_case(failing_case.plan, runner.server.context)))
    if failing_case.outcome.stderr_tail:
        print("Its standard error ends with:")
        print(
            "\n".join(
                f"  {escape_unprintable(line)}" for line in failing_case.outcome.stderr_tail.splitlines()
            )
        )
    print(f"Replay: {_replay_command(failing_case.plan.id, runner.command, options)}")


def _replay_command(case_id: str, command: Sequence[str], options: dict[str, Any]) -> str:
    """What plays a case again."""
    named = (("profile", DEFAULT_PROFILE), ("rendering", "wire"), ("model", None), ("expect", "exit"))
    told = [f"--{name}={options[name]}" for name, usual in named if options[name] != usual]
    told += [f"--timeout={options['timeout']:g}"] if options["timeout"] != 10 else []
    told += [f"--cases={options['cases']}"] if options["cases"] != Path(".mockserver/cases") else []
    return shlex.join(["mockserver", "fuzz", *told, "--replay", case_id, "--", *command])


@contextmanager
def _show_progress(search: Search) -> Iterator[None]:
    """A bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        search.progress = _progress_lines()
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("cases"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        search.progress = lambda done, total: bar.update(task, completed=done, total=total)
        yield


def _progress_lines() -> Callable[[int, int], None]:
    last = time.monotonic()

    def print_progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_INTERVAL_SECONDS:
            last = time.monotonic()
            print(f"[{done}/{total}]", file=sys.stderr, flush=True)

    return print_progress
