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

#: Behind `--report html=` follows a file: no space. fish knows that by itself.
_WITHOUT_SPACE = {
    "bash": {
        "COMPREPLY+=($value)\n": "COMPREPLY+=($value)\n"
        "            [[ $value == *[=/] ]] && compopt -o nospace 2>/dev/null\n"
    },
    "zsh": {
        "compadd -U -V unsorted -a completions\n": "local unfinished=(${(M)completions:#*[=/]})\n"
        "        completions=(${completions:#*[=/]})\n"
        "        compadd -U -V unsorted -a completions\n"
        "        compadd -U -S '' -V unfinished -a unfinished\n"
    },
}


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
    for line, extended_line in _WITHOUT_SPACE.get(shell, {}).items():
        script = script.replace(line, extended_line)
    sys.stdout.write(_WITH_COMPINIT.format(script=script) if shell == "zsh" else script)
