"""Generate docs/command-line.md: first steps in a project, completion, colours, examples and exit statuses."""

from __future__ import annotations

from collections.abc import Iterator

from mockserver.cli.command_help import EXAMPLES, EXIT_STATUSES

__all__ = ["command_line_page"]

_HEAD = """\
<!-- Written by docs/generate.py from docs/command_line_page.py and mockserver/cli/command_help.py: `make docs`. -->
# Command line

`mockserver COMMAND --help` describes a command, with examples. Options can also be set in `[tool.mockserver]` of
`pyproject.toml` or as `MOCKSERVER_…` variables; the command line overrides the variables, and the variables
override the file.

## Start in a project

```console
$ mockserver init
wrote tests/responses/conftest.py
wrote tests/responses/test_first_answer.py
wrote .github/workflows/responses.yml
next: pytest tests/responses
```

The tests pass as they are. In a part of a repository, as after `mockserver init services/chat`, the test and the
workflow are named after the part, and the workflow is at the root of the repository. A file that exists stays as it is,
and the command says so. If something does not work, `mockserver doctor` reports versions, damaged files, proxy
variables, the port and the store, and exits with 1 if something is wrong:
`mockserver doctor --port 9000 --store sqlite:responses.db`.

## Shell completion

The shell completes commands and options, and the names of profiles, faults, rules, probes and schemas. Add one line
to the start file of your shell:

| shell | file | line |
|---|---|---|
| bash (4.4 or newer) | `~/.bashrc` | `eval "$(mockserver completion bash)"` |
| zsh | `~/.zshrc`, after `compinit` | `eval "$(mockserver completion zsh)"` |
| fish | `~/.config/fish/config.fish` | `mockserver completion fish \\| source` |

## Colours and progress

On a terminal, verdicts and severities have colours, and a command that takes longer than a second shows how far it is.
A file or a pipe gets neither. `NO_COLOR=1` or `TERM=dumb` turns the colours off.

## Examples
"""

_STATUS_HEAD = """\
## Exit statuses

They are stable: a script may rely on them.

| command | status | meaning |
|---|---|---|"""


def command_line_page() -> str:
    """Return the whole page."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    yield _HEAD
    yield "```sh"
    for lines in EXAMPLES.values():
        yield from lines
    yield "```\n"
    yield _STATUS_HEAD
    for command, statuses in EXIT_STATUSES.items():
        for status, meaning in statuses.items():
            yield f"| `mockserver {command}` | {status} | {meaning} |"
