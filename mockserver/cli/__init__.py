"""The command `mockserver`.

`commands` defines the whole command with click. A plain `mockserver check FILE…` bypasses click, because
editors and commit hooks run it on every save and it has to start fast.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with this process's arguments."""
    if sys.argv[1:2] == ["check"]:
        from mockserver.cli.check_runner import run_without_click

        run_without_click(sys.argv[2:])
    from mockserver.cli.commands import group

    group()
