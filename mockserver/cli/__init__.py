"""The command `mockserver`.

`commands` defines the whole command with click. A plain `mockserver check FILE…` bypasses click, because
editors and commit hooks run it on every save and it has to start fast.
"""

from __future__ import annotations

import errno
import io
import os
import sys

__all__ = ["main"]

#: Errors of writing to standard output; those of files have a file name.
_OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF})


def main() -> None:
    """Run the command with this process's arguments."""
    _replace_closed_streams()
    _escape_unencodable()
    _require_own_module()
    try:
        _run_and_write()
    finally:
        # Of what is left in a buffer Python would make an error of its own when it exits, with status 120.
        try:
            sys.stderr.flush()
        except OSError:
            _drop_output(2)


def _run_and_write() -> None:
    try:
        try:
            _run_command()
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in _OUTPUT_ERRORS or error.filename is not None:
            raise
        _drop_output(1)
        from mockserver.cli.errors import exit_with_error

        exit_with_error(f"cannot write to standard output: {error.strerror}", 2)


def _run_command() -> None:
    if sys.argv[1:2] == ["check"]:
        from mockserver.cli.check_runner import run_without_click

        run_without_click(sys.argv[2:])
    from mockserver.cli.garbage_collection import paused_collection
    from mockserver.cli.interrupts import signals_as_exit

    with paused_collection():
        from mockserver.cli.commands import group

    with signals_as_exit():
        group(prog_name="mockserver")


def _require_own_module() -> None:
    """Exit if another distribution has replaced `mockserver/__init__.py`."""
    module = sys.modules["mockserver"]
    if hasattr(module, "__version__"):
        return
    from mockserver.cli.errors import exit_with_error
    from mockserver.installation import other_owners, owners_note

    owners = other_owners() or ("another distribution",)
    exit_with_error(f"{module.__file__} is not ours: {owners_note(owners)}", 1)


def _replace_closed_streams() -> None:
    """Use the null device for a stream that the caller has closed (`>&-`).

    The next open file would get its number, such as a socket, and what is meant for the stream would go there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
            os.set_inheritable(handle, True)  # by the commands that this one starts
            setattr(sys, name, open(handle, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _escape_unencodable() -> None:
    """Print characters that the encoding of standard output lacks as escapes, such as `…` in Latin-1."""
    output = sys.stdout
    if isinstance(output, io.TextIOWrapper) and not output.encoding.lower().startswith("utf"):
        output.reconfigure(errors="backslashreplace")


def _drop_output(number: int) -> None:
    """Send what is left in the buffer of standard output or error nowhere, so that it causes no error at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)
