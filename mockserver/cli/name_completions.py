"""Names that a shell completes: profiles, faults, rules, probes. Data is loaded only when it is needed."""

from __future__ import annotations

from collections.abc import Mapping

import click
from click.shell_completion import CompletionItem

__all__ = [
    "complete_diff_arguments",
    "complete_faults",
    "complete_files",
    "complete_probes",
    "complete_profiles",
    "complete_rules",
    "matching_names",
]


def complete_profiles(_: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The profiles, `latest`, and the option's own default, such as `auto`."""
    from mockserver.profiles import LATEST, load_profile, profile_names

    names = {name: load_profile(name).title for name in profile_names()} | {LATEST: "the newest"}
    if isinstance(parameter.default, str):
        names.setdefault(parameter.default, "")
    return matching_names(names, incomplete)


def complete_faults(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The faults that can be injected by name."""
    from mockserver.server.delivery.faults.catalogue import catalogue

    return matching_names({each.name: each.summary for each in catalogue()}, incomplete)


def complete_rules(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The rules; lower-case letters complete them too."""
    from mockserver.contract.rules import load_all_rules

    return matching_names({name: rule.title for name, rule in load_all_rules().items()}, incomplete.upper())


def complete_probes(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The probes of `mockserver verify`."""
    from mockserver.live.probes import all_probes

    return matching_names({name: each.title for name, each in all_probes().items()}, incomplete)


def complete_files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, by the shell itself."""
    return [CompletionItem(incomplete, type="file")]


def complete_diff_arguments(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Profiles, and files if no profile begins so."""
    return complete_profiles(context, parameter, incomplete) or complete_files(context, parameter, incomplete)


def matching_names(names: Mapping[str, str], incomplete: str) -> list[CompletionItem]:
    """Names that begin so, with what they mean."""
    return [CompletionItem(name, help=text) for name, text in names.items() if name.startswith(incomplete)]
