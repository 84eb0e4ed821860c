"""Names that a shell completes: profiles, faults, rules, probes, formats of reports. Data is loaded when needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "complete_diff_arguments",
    "complete_faults",
    "complete_files",
    "complete_probes",
    "complete_profiles",
    "complete_report_targets",
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
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def complete_report_targets(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Formats with their `=`, and behind it files and folders. A shell adds no space after `=` or `/`."""
    if context.info_name == "verify":
        from mockserver.live.report_formats import REPORT_FORMATS as FORMATS_OF_VERIFY

        names = list(FORMATS_OF_VERIFY)
    else:
        from mockserver.cli.output.report_formats import REPORT_FORMATS

        names = list(REPORT_FORMATS)
    name, equals, beginning = incomplete.partition("=")
    if not equals:
        return matching_names({f"{each}=": "" for each in names}, incomplete)
    folder = Path(beginning if beginning.endswith("/") else Path(beginning).parent)
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    paths = [f"{name}={each}{'/' * each.is_dir()}" for each in files if str(each).startswith(beginning)]
    return matching_names(dict.fromkeys(paths, ""), incomplete) if name in names else []


def complete_diff_arguments(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Profiles, and files if no profile begins so."""
    return complete_profiles(context, parameter, incomplete) or complete_files(context, parameter, incomplete)


def matching_names(names: Mapping[str, str], incomplete: str) -> list[CompletionItem]:
    """Names that begin so, with what they mean."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(name, help=text) for name, text in names.items() if name.startswith(incomplete)]
