"""The command `mockserver`.

`commands` has the whole of it, by click. A plain `mockserver check FILE…` goes past click: it is run in
every save of an editor and every commit, and is to start in no time.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of this process."""
    if sys.argv[1:2] == ["check"]:
        from mockserver.cli.check_runner import run_without_click

        run_without_click(sys.argv[2:])
    from mockserver.cli.commands import group

    group()
