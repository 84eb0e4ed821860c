"""Reading what a folder holds: regular files only, because opening a pipe without a writer never returns."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["read_regular_file"]


def read_regular_file(path: Path, max_bytes: int | None = None) -> bytes:
    """Return the bytes of a file that a scan of a folder found, or that has a fixed name.

    Raises OSError if it is a pipe, a device or the like, or larger than `max_bytes`. A file that the user names
    may be a pipe, such as `<(command)`: read it without this function.
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
