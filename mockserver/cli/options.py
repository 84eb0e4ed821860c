"""Command options that can also be set as environment variables."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import click

from mockserver.cli.errors import exit_with_error
from mockserver.errors import ConfigurationError
from mockserver.settings import ENV_PREFIX, MAX_BODY_BYTES
from mockserver.suggestions import choose_from
from mockserver.wire.masks import configured_masks, parse_masks, use_masks

__all__ = [
    "Choice",
    "FiniteRange",
    "IntegerRange",
    "connection_options",
    "finding_options",
    "given_masks",
    "key_options",
    "mask_option",
    "max_body_option",
    "network_options",
    "option",
    "port_and_url_file_options",
    "read_only_console_option",
    "upstream_options",
]

#: Where a context has the masks of `--mask`.
_MASKS = "mockserver.masks"

_Command = TypeVar("_Command", bound=Callable[..., Any])


class FiniteRange(click.FloatRange):
    """A range of numbers without NaN, which no comparison excludes, and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(super().convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"{str(value)!r} is not a number{_bounds(self)}.", param, ctx)
        if not isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class IntegerRange(click.IntRange):
    """A range of integers whose error names the bounds in words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{str(value)!r} is not an integer{_bounds(self)}.", param, ctx)


def _bounds(numbers: click.IntRange | click.FloatRange) -> str:
    return (
        f" of at least {numbers.min:g}"
        if numbers.max is None
        else f" from {numbers.min:g} to {numbers.max:g}"
    )


class Choice(click.Choice):  # type: ignore[type-arg]  # generic from click 8.2 on
    """A choice whose error names the value that was probably meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            known = [str(each) for each in self.choices]
            self.fail(f"no value {str(value)!r}{choose_from(str(value), known)}", param, ctx)


def option(*names: str, **attributes: Any) -> Callable[[_Command], _Command]:
    """A click option that can also be set as a MOCKSERVER_… environment variable."""
    variable = ENV_PREFIX + names[-1].lstrip("-").replace("-", "_").upper()
    return click.option(
        *names, envvar=variable, show_default=attributes.pop("show_default", True), **attributes
    )


#: `--max-body`, of every command that runs a server.
max_body_option = option(
    "--max-body",
    default=f"{MAX_BODY_BYTES >> 20}MiB",
    metavar="SIZE",
    help="Largest body of a request, also once it is decompressed: bytes, or a number with a unit.",
)


def _add_masks(ctx: click.Context, _: click.Parameter, masks: tuple[str, ...]) -> None:
    """Mask these too in all that the process writes; those of the settings cannot be taken away by the option."""
    if ctx.resilient_parsing:
        return
    ctx.meta[_MASKS] = masks
    try:
        use_masks(configured_masks().union(parse_masks(masks)))
    except ConfigurationError as error:
        exit_with_error(str(error), 2)


def given_masks() -> tuple[str, ...]:
    """The masks of the running command's `--mask`, without those of the settings."""
    masks: tuple[str, ...] = click.get_current_context().meta.get(_MASKS, ())
    return masks


#: `--mask`, of the commands that write or print requests and replies.
mask_option = option(
    "--mask",
    multiple=True,
    metavar="MASK",
    show_default=False,
    callback=_add_masks,
    expose_value=False,
    is_eager=True,
    help="Also mask a member of requests, such as /metadata/user, or what matches regex:PATTERN. Can be repeated.",
)


def connection_options(command: _Command) -> _Command:
    """The options of how to connect to an endpoint."""
    ca_file = option(
        "--ca-file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="PEM file of the certificate authorities to trust; default: SSL_CERT_FILE, else certifi's.",
    )
    proxy = option(
        "--proxy",
        metavar="URL",
        help="Connect through this proxy; variables such as HTTPS_PROXY have no effect.",
    )
    return ca_file(proxy(command))


def upstream_options(command: _Command) -> _Command:
    """The options of what goes to a live endpoint: its key, the headers and the budget."""
    options = (
        option(
            "--upstream-key-env",
            metavar="NAME",
            show_default=False,
            help="Environment variable with the endpoint's key; clients then send a key of the server's own.",
        ),
        option(
            "--allow-http",
            multiple=True,
            metavar="HOST",
            show_default=False,
            help="Allow plain http to this host; may be repeated.",
        ),
        connection_options,
        option(
            "--allow-header",
            multiple=True,
            metavar="NAME",
            show_default=False,
            help="Also pass this header, in both directions.",
        ),
        option(
            "--max-requests",
            type=IntegerRange(1),
            metavar="N",
            show_default=False,
            help="Maximum number of requests to the endpoint; default: no limit.",
        ),
        option(
            "--max-tokens",
            type=IntegerRange(1),
            metavar="N",
            show_default=False,
            help="Tokens of the endpoint's replies after which no request is sent; default: no limit.",
        ),
    )
    for each in reversed(options):
        command = each(command)
    return command


def finding_options(command: _Command) -> _Command:
    """The options of where findings are reported, and of which make a command fail."""
    from mockserver.cli.name_completions import complete_report_targets
    from mockserver.contract.findings import Severity

    report = option(
        "--report",
        multiple=True,
        metavar="FORMAT=FILE",
        shell_complete=complete_report_targets,
        help="Also write a report to a file. Can be repeated.",
    )
    fail_on = option(
        "--fail-on",
        type=Choice([each.value for each in Severity]),
        default="error",
        help="The lowest severity that makes the exit status 1.",
    )
    return report(fail_on(command))


#: `--console`, of the servers whose replies it cannot change.
read_only_console_option = option(
    "--console", is_flag=True, help="Serve a page that shows each request as it arrives; prints its link."
)


def key_options(command: _Command) -> _Command:
    """The options of which keys a server accepts."""
    key = option(
        "--api-key",
        multiple=True,
        show_default=False,
        help="An API key to accept; default: any key. Can be repeated.",
    )
    variable = option(
        "--api-key-env",
        multiple=True,
        metavar="NAME",
        help="An environment variable with an API key to accept.",
    )
    return key(variable(command))


def port_and_url_file_options(command: _Command) -> _Command:
    """The options of a server's port, and of how a program learns it."""
    port = option(
        "--port", default=8080, type=IntegerRange(0, 65535), help="Port to listen on; 0: any free port."
    )
    url_file = option(
        "--url-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write the base URL to this file once the server runs.",
    )
    return port(url_file(command))


def network_options(command: _Command) -> _Command:
    """The options of where a server listens, and of who may send requests."""
    options = (
        option(
            "--host",
            default="localhost",
            help="Address to listen on; localhost: 127.0.0.1 and ::1. Other than loopback needs an API key.",
        ),
        option(
            "--allow-host",
            multiple=True,
            metavar="NAME",
            show_default=False,
            help="Another name to accept in the Host header, or *.SUFFIX. Can be repeated.",
        ),
        option(
            "--allow-origin",
            multiple=True,
            metavar="ORIGIN",
            show_default=False,
            help="Let web pages of this origin (http://localhost:5173) send requests. Can be repeated.",
        ),
        option(
            "--unsafe-any-origin",
            is_flag=True,
            help="Permit --allow-origin '*': every web page may send requests, also those of strangers.",
        ),
    )
    for each in reversed(options):
        command = each(command)
    return command
