"""The sections of a `--help` that has too many options for one list."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

__all__ = ["OPTION_SECTIONS", "SectionedCommand"]

#: Names of options by section, in the order of the help; a command shows those that it has.
OPTION_SECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Address and keys": (
            *("port", "host", "api_key", "api_key_env", "url_file", "allow_host", "allow_origin"),
            *("unsafe_any_origin", "intercept", "allow_connect"),
        ),
        "Replies": (
            *("profile", "rendering", "model", "seed", "exchanges", "strict", "structured_output"),
            *("function_arguments", "stream_errors", "output_tokens", "token_counts"),
        ),
        "Checks and reports": ("ignore", "fail_on", "conduct", "report"),
        "Faults, speed and limits": ("fault", "pace", "chunking", "limit", "max_body", "allow_mock_headers"),
        "Console, admin API and log": (
            *("console", "admin", "admin_token_env", "admin_token_file", "metrics", "verbose", "log_format"),
            *("quiet", "mask"),
        ),
        "Processes and storage": ("workers", "store", "store_size", "load", "stop_with_stdin"),
        "Fallback to a live endpoint": (
            *("fallback", "upstream_key_env", "max_requests", "max_tokens", "allow_http", "allow_header"),
            *("ca_file", "proxy"),
        ),
    }
)


class SectionedCommand(click.Command):
    """A command that lists its options by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        records = {each.name: each.get_help_record(ctx) for each in options}
        for title, names in OPTION_SECTIONS.items():
            self._write_section(title, [records.pop(name, None) for name in names], formatter)
        self._write_section("Other options", [*records.values()], formatter)

    def _write_section(
        self, title: str, records: list[tuple[str, str] | None], formatter: click.HelpFormatter
    ) -> None:
        if rows := [each for each in records if each]:
            with formatter.section(title):
                formatter.write_dl(rows)
