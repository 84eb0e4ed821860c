"""Commands that permissions of files hold back, also if root runs the tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest


def without_override(command: Sequence[str | Path]) -> list[str | Path]:
    """The command, without the capability by which root reads and writes everything."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return [*command]
    if shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv to be held back by permissions")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
