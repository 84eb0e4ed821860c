"""`mockserver fuzz`: find the smallest reply that a client in any language handles wrongly."""

from __future__ import annotations

import random
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mockserver.cli.errors import exit_with_error
from mockserver.cli.name_completions import complete_profiles
from mockserver.cli.options import Choice, FiniteRange, IntegerRange, given_masks, mask_option, option
from mockserver.errors import ConfigurationError, MockServerError, optional_packages
from mockserver.profiles import DEFAULT_PROFILE, load_profile, resolve_profile_name
from mockserver.suggestions import choose_from
from mockserver.wire.terminal import escape_unprintable

if TYPE_CHECKING:
    from mockserver.testing.fuzzing.command_runner import CommandRunner
    from mockserver.testing.fuzzing.diagnosis import Diagnosis
    from mockserver.testing.fuzzing.search import Search

__all__ = ["fuzz"]

#: Seconds between two lines of progress if there is no terminal.
_PROGRESS_INTERVAL_SECONDS = 5.0


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
@option("--profile", default=DEFAULT_PROFILE, shell_complete=complete_profiles, help="The profile to play.")
@option(
    "--rendering", default="wire", help="wire: as the service sends it; documented: as its guide prints it."
)
@option("--model", default=None, metavar="NAME", help="The model to request; default: the profile's first.")
@option("--examples", default=100, type=IntegerRange(1), help="Number of cases to draw.")
@option("--seed", type=int, help="Draw the same cases again; default: different ones in each run.")
@option("--jobs", default=1, type=IntegerRange(1, 64), help="Number of commands to run at once.")
@option("--timeout", default=10.0, type=FiniteRange(0.1), help="Seconds that a command may take.")
@option(
    "--expect",
    type=Choice(["exit", "text"]),
    default="exit",
    help="exit: status 0 means success; text: standard output must also be the text of the reply.",
)
@option(
    "--conduct",
    is_flag=True,
    help="Check also what the command does over the requests of a case: retries, context.",
)
@option("--skip", multiple=True, metavar="KIND", help="Leave out a kind of case; can be repeated.")
@option(
    "--cases",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".mockserver/cases"),
    help="Folder of saved failing cases.",
)
@click.option("--replay", metavar="ID", help="Play one saved case, by its id or the path of its file.")
@mask_option
def fuzz(command: tuple[str, ...], **options: Any) -> None:
    """Find the smallest reply that a client handles wrongly.

    Runs the command once for each case, with OPENAI_BASE_URL, OPENAI_API_KEY, DASHSCOPE_API_KEY,
    MOCKSERVER_MODEL, MOCKSERVER_INPUT, MOCKSERVER_STREAM (0 or 1), MOCKSERVER_CASE and
    MOCKSERVER_TIMEOUT (its time limit in seconds). The command must send a request and finish in time.
    Exit status 0 means that it understood the reply: correct for a valid reply, wrong for one that is
    cut, failed, refused or never ends. Its requests are checked, too.

    A truncated reply (status incomplete) is neither complete nor an error: the command must print its
    text and report the truncation, by another exit status or by the word "incomplete" on standard error.

    Kinds of cases, for --skip: failed, incomplete, cut, closed, error, dropped, reset, empty, refused,
    stalled; cuts, framing, unknown, members, long.
    """
    from mockserver.testing.fuzzing.case_plan import CASE_FAULTS, LEGAL_VARIATIONS

    unknown = sorted(set(options["skip"]) - {*CASE_FAULTS, *LEGAL_VARIATIONS})
    if unknown:
        known = choose_from(unknown[0], (*CASE_FAULTS, *LEGAL_VARIATIONS))
        exit_with_error(f"--skip {unknown[0]}: no such kind of case{known}", 2)
    try:
        with optional_packages():
            raise SystemExit(_run_fuzz(command, options))
    except MockServerError as error:
        exit_with_error(str(error), 2)
    except OSError as error:
        exit_with_error(f"cannot save a case in {options['cases']}: {error.strerror or error}", 2)
    except KeyboardInterrupt:
        exit_with_error("interrupted", 130)


def _run_fuzz(command: Sequence[str], options: dict[str, Any]) -> int:
    from mockserver.server.state.sessions import AnyModel
    from mockserver.testing.client_processes import ClientProcesses
    from mockserver.testing.fuzzing.case_server import CaseServer
    from mockserver.testing.fuzzing.command_runner import CommandRunner

    profile, model = load_profile(resolve_profile_name(options["profile"])), options["model"] or ""
    processes = ClientProcesses()
    models = AnyModel() if model not in ("", *profile.models) else None
    with CaseServer(
        profile=profile.name,
        rendering=options["rendering"],
        models=models,
        checks_conduct=options["conduct"],
    ) as server:
        runner = CommandRunner(
            command, server, processes, options["timeout"], options["expect"] == "text", model
        )
        try:
            if options["replay"]:
                return _replay_case(runner, options)
            return _search_failing_case(runner, options)
        finally:
            processes.close()


def _replay_case(runner: CommandRunner, options: dict[str, Any]) -> int:
    from mockserver.testing.fuzzing.case_descriptions import describe_case
    from mockserver.testing.fuzzing.diagnosis import CauseFinder
    from mockserver.testing.fuzzing.outcomes import check_outcome, played_plan
    from mockserver.testing.fuzzing.saved_cases import load_case
    from mockserver.testing.fuzzing.search import FailingCase

    case = load_case(options["cases"], options["replay"], runner.server.context.profile.name)
    conduct_counts: Counter[str] = Counter()
    for _ in range(case.runs):
        outcome = runner(case.plan)
        failure, played = check_outcome(case.plan, outcome), played_plan(case.plan, outcome)
        if failure is not None:
            diagnosis = CauseFinder().find(FailingCase(played, outcome, failure), runner)
            _print_failing_case(diagnosis, runner, options)
            return 1
        if played.stream is not case.plan.stream:
            forms = ("a stream", "a whole reply") if case.plan.stream else ("a whole reply", "a stream")
            raise ConfigurationError(
                f"case {case.plan.id} is {forms[0]}, but the client requested {forms[1]}, so it was not played"
            )
        conduct_counts.update({each.rule for _, each in outcome.conduct})
    runs = f", in each of {case.runs} runs" if case.runs > 1 else ""
    print(f"passed: case {case.plan.id}, {outcome.end_reason}{runs}")
    print("\n".join(describe_case(case.plan, runner.server.context)))
    _print_conduct(conduct_counts)
    return 0


def _search_failing_case(runner: CommandRunner, options: dict[str, Any]) -> int:
    from mockserver.testing.fuzzing.diagnosis import CauseFinder, Diagnosis
    from mockserver.testing.fuzzing.saved_cases import load_saved_plans
    from mockserver.testing.fuzzing.search import Search

    profile = runner.server.context.profile
    seed = random.randrange(1 << 32) if options["seed"] is None else options["seed"]
    search = Search(runner, profile, options["examples"], seed, options["jobs"], options["skip"])
    started = time.monotonic()
    with _show_progress(search):
        found = search.run(load_saved_plans(options["cases"], profile.name))
    if found is None:
        print(f"No failing case: {search.cases_run} cases in {time.monotonic() - started:.1f} s, seed {seed}")
        _print_conduct(search.conduct_counts)
        return 0
    try:
        diagnosis = CauseFinder().find(found, runner)
    except KeyboardInterrupt:
        _save_failing_case(Diagnosis(found, ""), runner, options)
        raise
    _save_failing_case(diagnosis, runner, options)
    _print_failing_case(diagnosis, runner, options)
    counts = f"{found.cases_run} cases to find it, {found.shrink_runs} to shrink it"
    print(f"{counts}; {time.monotonic() - started:.1f} s, seed {seed}")
    return 1


def _save_failing_case(diagnosis: Diagnosis, runner: CommandRunner, options: dict[str, Any]) -> None:
    from mockserver.testing.fuzzing.case_descriptions import payloads_before_fault
    from mockserver.testing.fuzzing.saved_cases import save_case

    failing, context = diagnosis.failing, runner.server.context
    try:
        save_case(
            options["cases"],
            failing.plan,
            failing.failure,
            context.profile.name,
            payloads_before_fault(failing.plan, context),
            outcome_changes=diagnosis.outcome_changes,
        )
    except ConfigurationError as error:  # the case itself is worth more than its file
        print(f"mockserver: {error}", file=sys.stderr)


def _print_conduct(counts: Counter[str]) -> None:
    """Print the findings about conduct that are no failures, by rule."""
    from mockserver.contract.rules import load_conduct_rules

    for name, count in sorted(counts.items()):
        rule = load_conduct_rules()[name]
        print(f"Conduct {name} ({rule.severity}) in {count} case{'s' * (count > 1)}: {rule.title}")


def _print_failing_case(diagnosis: Diagnosis, runner: CommandRunner, options: dict[str, Any]) -> None:
    from mockserver.testing.fuzzing.case_descriptions import describe_case

    failing_case = diagnosis.failing
    print(f"FAILED: {escape_unprintable(failing_case.failure.message)}")
    print(f"Cause:  {diagnosis.cause}")
    for line in failing_case.failure.details:
        print(f"  {escape_unprintable(line)}")
    print("\n".join(describe_case(failing_case.plan, runner.server.context)))
    if failing_case.outcome.stderr_tail:
        print("Standard error ends with:")
        print(
            "\n".join(
                f"  {escape_unprintable(line)}" for line in failing_case.outcome.stderr_tail.splitlines()
            )
        )
    print(f"Replay: {_replay_command(failing_case.plan.id, runner.command, options)}")


def _replay_command(case_id: str, command: Sequence[str], options: dict[str, Any]) -> str:
    """The command that plays a case again."""
    named = (("profile", DEFAULT_PROFILE), ("rendering", "wire"), ("model", None), ("expect", "exit"))
    options_text = [f"--{name}={options[name]}" for name, usual in named if options[name] != usual]
    options_text += ["--conduct"] * options["conduct"]
    options_text += [f"--timeout={options['timeout']:g}"] if options["timeout"] != 10 else []
    options_text += [f"--cases={options['cases']}"] if options["cases"] != Path(".mockserver/cases") else []
    options_text += [f"--mask={each}" for each in given_masks()]
    return shlex.join(["mockserver", "fuzz", *options_text, "--replay", case_id, "--", *command])


@contextmanager
def _show_progress(search: Search) -> Iterator[None]:
    """A progress bar on a terminal, else a line every few seconds."""
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
