"""The live endpoint behind `mockserver record` and `mockserver serve --fallback`, from their options."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mockserver.errors import ConfigurationError

if TYPE_CHECKING:
    from mockserver.live.budgeted_client import Budget
    from mockserver.live.endpoint import Endpoint
    from mockserver.live.fallback import LiveFallback

__all__ = ["BUDGET_OPTIONS", "build_fallback", "parse_budget", "parse_header_names", "parse_upstream"]

#: The options that raise the budget.
BUDGET_OPTIONS = "--max-requests, --max-tokens"

#: Headers that belong to one connection, or to the side that sends them.
_OWN_HEADERS = frozenset(
    {
        *("authorization", "host", "cookie", "set-cookie"),
        *("connection", "transfer-encoding", "te", "upgrade"),
    }
)


def parse_upstream(url: str, options: Mapping[str, Any]) -> Endpoint:
    """The endpoint of `upstream_options`, with its key if they name one. Raises ConfigurationError."""
    from mockserver.live.connections import parse_connection_options
    from mockserver.live.endpoint import api_key_from_env, parse_endpoint

    name = options["upstream_key_env"]
    return parse_endpoint(
        url,
        api_key_from_env(os.environ, name) if name else "",
        name or "DASHSCOPE_API_KEY",
        options["allow_http"],
        parse_connection_options(options["ca_file"], options["proxy"]),
    )


def parse_budget(options: Mapping[str, Any]) -> Budget:
    """The budget of `upstream_options`."""
    from mockserver.live.budgeted_client import Budget

    return Budget(options["max_requests"] or sys.maxsize, options["max_tokens"] or sys.maxsize)


def parse_header_names(option_values: tuple[str, ...]) -> frozenset[bytes]:
    """The headers of --allow-header. Raises ConfigurationError for those that belong to one connection."""
    names = {each.strip().lower() for each in option_values}
    for name in sorted(names):
        if name in _OWN_HEADERS or not name.replace("-", "").isalnum() or not name.isascii():
            raise ConfigurationError(f"--allow-header {name!a}: this header cannot be passed on")
    return frozenset(name.encode() for name in names)


def build_fallback(options: Mapping[str, Any]) -> LiveFallback | None:
    """The fallback of `serve`; None without --fallback. Raises ConfigurationError."""
    url = options.get("fallback")
    if not url:
        return None
    if options.get("strict"):
        raise ConfigurationError("--strict rejects the requests that --fallback passes on: use one of them")
    if not options["upstream_key_env"]:
        raise ConfigurationError(
            "--fallback needs --upstream-key-env NAME, the variable with the endpoint's key: "
            "the keys of clients are not sent to the endpoint"
        )
    from mockserver.live.fallback import LiveFallback

    headers = parse_header_names(options["allow_header"])
    return LiveFallback(parse_upstream(url, options), parse_budget(options), headers, BUDGET_OPTIONS)
