"""`mockserver exchanges check|new`: check or draft exchange files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mockserver.cli.errors import exit_with_error, exit_with_problems, problem_lines
from mockserver.cli.exchange_drafts import draft_exchanges
from mockserver.cli.options import mask_option
from mockserver.cli.output.terminal import with_progress
from mockserver.documents.problems import Problem
from mockserver.errors import ConfigurationError, InvalidExchange, MockServerError
from mockserver.exchange_files import load_exchange_folder
from mockserver.exchanges import Exchange
from mockserver.profiles import DEFAULT_PROFILE, load_profile, profile_names
from mockserver.regular_files import read_named_file
from mockserver.reports.formatting import format_count
from mockserver.server.state.sessions import open_session
from mockserver.server.stubs.document_problems import find_serving_problems

__all__ = ["exchanges"]


@click.group()
def exchanges() -> None:
    """Check or draft exchange files."""


@exchanges.command()
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@mask_option
def check(folders: tuple[Path, ...]) -> None:
    """Load folders as the server does. Exit status 1, with file and pointer, if a file cannot be served.

    Every problem of every file is reported, a line each.
    """
    problems = [f"{folder}: {line}" for folder in folders for line in _folder_problems(folder)]
    if problems:
        exit_with_problems(problems, 1)


def _folder_problems(folder: Path) -> list[str]:
    try:
        loaded = load_exchange_folder(folder, _find_problems)
    except MockServerError as error:
        return problem_lines(error)
    problems = [
        line for exchange in with_progress(loaded, "checking") for line in _serving_problems(exchange)
    ]
    if not problems:
        print(f"{folder}: {format_count(len(loaded), 'exchange')}, all valid")
    return problems


def _find_problems(document: Any) -> list[Problem]:
    name = document.get("profile") if isinstance(document, Mapping) else None
    return find_serving_problems(document, load_profile(_serving_profile(name)), "wire")


def _serving_profile(name: Any) -> str:
    """The profile of a server for an exchange that names this one, or none."""
    return name if name in profile_names() else DEFAULT_PROFILE


def _serving_problems(exchange: Exchange) -> list[str]:
    try:
        open_session(profile=_serving_profile(exchange.profile), user_exchanges=[exchange])
    except MockServerError as error:
        return problem_lines(error)
    return []


@exchanges.command(short_help="Draft exchanges from curl, HAR, vcrpy or fixtures.")
@click.argument("source", default="-")
@click.option("--name", default="new", show_default=True, help="The name of the exchange and of its file.")
@click.option("--prompt", help="The prompt to match if the source holds only a reply.")
@click.option(
    "--out",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder to write to; default: standard output.",
)
@mask_option
def new(source: str, name: str, prompt: str | None, out: Path | None) -> None:
    """Draft exchanges from a curl command, a HAR file, a recorded reply, a cassette of vcrpy, or fixtures.

    - reads standard input. Fixtures are those of aimock and stubllm; YAML needs PyYAML. What cannot be used,
    such as an entry of a HAR file without a whole request and reply, is left out and listed with the reason.
    """
    try:
        data = sys.stdin.buffer.read() if source == "-" else read_named_file(Path(source))
    except OSError as error:
        exit_with_error(f"cannot read {source}: {error.strerror or error}", 2)
    try:
        drafts = draft_exchanges(data, name, prompt)
    except (ConfigurationError, InvalidExchange) as error:
        exit_with_error(str(error) if source == "-" else f"{source}: {error}", 2)
    for line in drafts.left_out:
        print(f"mockserver: left out: {line}", file=sys.stderr)
    for exchange in drafts.exchanges:
        text = json.dumps(exchange, indent=2, ensure_ascii=False) + "\n"
        if out is None:
            sys.stdout.write(text)
            continue
        file = out / f"{exchange['name']}.json"
        try:
            # O_EXCL: never overwrite a file or follow a link.
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except OSError as error:
            exit_with_error(f"cannot write {file}: {error.strerror or error}", 1)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as target:
                target.write(text)
        except OSError as error:
            file.unlink()  # half an exchange would make the folder unusable
            exit_with_error(f"cannot write {file}: {error.strerror or error}", 1)
        print(file)
