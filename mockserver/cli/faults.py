"""`mockserver faults`: every fault that can be asked for by name, a line each."""

from __future__ import annotations

import click

from mockserver.cli.errors import exit_with_error
from mockserver.server.delivery.faults import catalogue

__all__ = ["faults"]


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
def faults(name: str | None) -> None:
    """List the faults that can be asked for by name, or explain one."""
    listed = catalogue()
    if name is not None:
        found = [each for each in listed if each.name == name]
        if not found:
            exit_with_error(f"there is no fault {name}; `mockserver faults` lists those there are", 2)
        for each in found:
            print(f"{each.name}  ({each.kind})\n\n  {each.summary}\n")
            for option, default in each.options.items():
                print(f"  {option}={default}" if default != "" else f"  {option}=…")
            print("  first=N  only the first N times that the very same request comes")
        return
    width = max(len(each.name) for each in listed)
    kind = max(len(each.kind) for each in listed)
    for each in listed:
        print(f"{each.name:{width}}  {each.kind:{kind}}  {each.summary}")
