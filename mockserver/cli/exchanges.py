"""`mockserver exchanges check|new`: check or draft exchange files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import IO

import click

from mockserver.cli.errors import exit_with_error
from mockserver.cli.exchange_drafts import draft_exchanges
from mockserver.errors import ConfigurationError, InvalidExchange, MockServerError
from mockserver.exchanges import Exchange, load_exchange_folder
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.reports.formatting import format_count
from mockserver.server.state.sessions import open_session

__all__ = ["exchanges"]


@click.group()
def exchanges() -> None:
    """Check or draft exchange files."""


@exchanges.command()
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
def check(folders: tuple[Path, ...]) -> None:
    """Load folders as the server does. Exit status 1, with file and pointer, if a file cannot be served."""
    for folder in folders:
        try:
            loaded = load_exchange_folder(folder)
            for exchange in loaded:
                _require_servable(exchange)
        except MockServerError as error:
            exit_with_error(f"{folder}: {error}", 1)
        print(f"{folder}: {format_count(len(loaded), 'exchange')}, all valid")


def _require_servable(exchange: Exchange) -> None:
    open_session(profile=exchange.profile or DEFAULT_PROFILE, user_exchanges=[exchange])


@exchanges.command()
@click.argument("source", type=click.File("rb"), default="-")
@click.option("--name", default="new", show_default=True, help="The name of the exchange and of its file.")
@click.option("--prompt", help="The prompt to match if the source holds only a reply.")
@click.option(
    "--out",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder to write to; default: standard output.",
)
def new(source: IO[bytes], name: str, prompt: str | None, out: Path | None) -> None:
    """Draft exchanges from a curl command, a HAR file or a recorded reply. - reads standard input."""
    try:
        drafts = draft_exchanges(source.read(), name, prompt)
    except (ConfigurationError, InvalidExchange) as error:
        exit_with_error(str(error), 2)
    for exchange in drafts:
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
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            target.write(text)
        print(file)
