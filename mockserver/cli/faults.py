"""`mockserver faults`: list the faults, or describe one."""

from __future__ import annotations

import click

from mockserver.cli.errors import exit_with_error
from mockserver.cli.name_completions import complete_faults
from mockserver.server.delivery.faults.catalogue import catalogue
from mockserver.suggestions import did_you_mean

__all__ = ["faults"]


@click.command()
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_faults)
def faults(name: str | None) -> None:
    """List the faults that you can inject by name, or describe one."""
    known = catalogue()
    if name is not None:
        matching = [each for each in known if each.name == name]
        if not matching:
            suggestion = did_you_mean(name, (each.name for each in known)) or ";"
            exit_with_error(f"no such fault: {name}{suggestion} `mockserver faults` lists all faults", 2)
        for each in matching:
            print(f"{each.name}  ({each.kind})\n\n  {each.summary}\n")
            for option, default in each.options.items():
                print(f"  {option}={default}" if default != "" else f"  {option}=…")
            print("  first=N  only the first N times that the same request arrives")
        return
    name_width = max(len(each.name) for each in known)
    kind_width = max(len(each.kind) for each in known)
    for each in known:
        print(f"{each.name:{name_width}}  {each.kind:{kind_width}}  {each.summary}")
