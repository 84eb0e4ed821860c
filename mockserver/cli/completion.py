"""`mockserver completion`: the script that completes commands, options and names in a shell."""

from __future__ import annotations

import sys

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from mockserver.cli.options import Choice

__all__ = ["completion"]

_PROGRAM = "mockserver"

_COMPLETIONS: dict[str, type[ShellComplete]] = {
    "bash": BashComplete,
    "fish": FishComplete,
    "zsh": ZshComplete,
}

#: Without `compinit` zsh has no command `compdef`, and the script would end with an error that does not say so.
_WITH_COMPINIT = """\
if (( $+functions[compdef] )) || [[ $zsh_eval_context[-1] == loadautofunc ]]; then
{script}
else
  print -u2 "mockserver: completion needs compinit: put 'autoload -Uz compinit && compinit' before this line"
fi
"""


@click.command()
@click.argument("shell", type=Choice(sorted(_COMPLETIONS)))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands, options, profiles, faults, rules and probes.

    Add the line for your shell to its start file: ~/.bashrc, ~/.zshrc (after compinit) or
    ~/.config/fish/config.fish.
    """
    complete = _COMPLETIONS[shell]
    variable = f"_{_PROGRAM.upper()}_COMPLETE"
    script = complete(click.get_current_context().find_root().command, {}, _PROGRAM, variable).source()
    sys.stdout.write(_WITH_COMPINIT.format(script=script) if shell == "zsh" else script)
