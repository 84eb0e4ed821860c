"""Reading and writing files whose paths come from others, without waiting for ever and without harming a device.

Opening a pipe without a writer never returns, so a folder's files must be regular ones. A file that the user
names may be a pipe, such as `<(command)`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "open_named_file",
    "read_named_file",
    "read_regular_file",
    "replace_file",
    "replaced_file",
    "require_writable",
    "visible_json_files",
]

#: Seconds that a pipe with a name gets until something is written to it.
PIPE_TIMEOUT_SECONDS = 5.0

#: Where the shell puts pipes that it has opened itself: standard input, and `<(command)`.
_OPEN_PIPES = ("/dev/stdin", "/dev/fd/", "/proc/")


def visible_json_files(folder: Path, *, with_subfolders: bool = False) -> list[Path]:
    """The paths called `*.json` in a folder that are not hidden, in order.

    What begins with a dot belongs to some program: the lock of an editor, an environment, or our own `.mockserver`.
    A folder with such a name is among the paths, because `read_regular_file` says what is wrong with it.
    """
    files = []
    for root, folders, names in os.walk(folder):
        visible = [each for each in (*folders, *names) if not each.startswith(".")]
        files += [Path(root, each) for each in visible if each.endswith(".json")]
        folders[:] = [each for each in folders if with_subfolders and each in visible]
    return sorted(files)


def read_regular_file(path: Path, max_bytes: int | None = None) -> bytes:
    """Return the bytes of a file that a scan of a folder found, or that has a fixed name.

    Raises OSError if it is a pipe, a device or the like, or larger than `max_bytes`. For a file that the user
    names use `read_named_file`.
    """
    # Opening a pipe that nobody writes to would block.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if max_bytes is not None and status.st_size > max_bytes:
            raise OSError(errno.EFBIG, f"it is larger than {max_bytes >> 20} MiB", str(path))
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read() if max_bytes is None else file.read(max_bytes)
    finally:
        os.close(handle)


def read_named_file(path: Path) -> bytes:
    """Return the bytes of a file that the user names. Raises OSError as `open_named_file` does."""
    with open_named_file(path) as file:
        return file.read()


def open_named_file(path: Path) -> BinaryIO:
    """Open a file that the user names, which may be a pipe. Raises OSError if nobody writes to that pipe."""
    if str(path).startswith(_OPEN_PIPES) or not path.is_fifo():
        return path.open("rb")
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        _await_writer(handle, path)
        os.set_blocking(handle, True)
        return os.fdopen(handle, "rb")
    except OSError:
        os.close(handle)
        raise


def _await_writer(handle: int, path: Path) -> None:
    import select  # only for pipes

    poll = select.poll()
    poll.register(handle, select.POLLIN)
    if not poll.poll(PIPE_TIMEOUT_SECONDS * 1000):
        raise OSError(errno.EINVAL, "it is a pipe to which nobody writes", str(path))


def replace_file(path: Path, text: str) -> None:
    """Write a file that the user names; a reader never sees an unfinished one. Raises OSError.

    A link or a device, such as `/dev/stdout`, is written to, not replaced.
    """
    if _is_written_in_place(path):
        require_writable(path)
        path.write_text(text, encoding="utf-8")
        return
    with replaced_file(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """The file in which to write what replaces another once it is complete; nothing is left of it if that fails."""
    part = _partial_file(path)
    try:
        yield part
        part.replace(path)
    except BaseException:  # a signal, too
        part.unlink(missing_ok=True)
        raise


def require_writable(path: Path) -> None:
    """Raise OSError if `replace_file` could not write."""
    if _is_written_in_place(path):
        # Without O_NONBLOCK, opening a pipe that nobody reads would block.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)))
        return
    part = _partial_file(path)
    part.touch()
    part.unlink()


def _is_written_in_place(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and not path.is_file())


def _partial_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")
