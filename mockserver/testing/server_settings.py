"""Settings of a mock server in tests, with the names and values of `[tool.mockserver]`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, cast

from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange
from mockserver.replies.token_counts import TOKEN_COUNTS
from mockserver.settings import parse_body_size
from mockserver.suggestions import choose_from

__all__ = [
    "DEFAULT_API_KEY",
    "ExchangeSource",
    "ServerSettings",
    "as_tuple",
    "existing_folder",
    "validate_settings",
]

DEFAULT_API_KEY = "sk-mock"

ExchangeSource: TypeAlias = str | Path | Iterable[Exchange]


class ServerSettings(TypedDict, total=False):
    """Settings of a server in a test."""

    profile: str
    rendering: str
    seed: int | None
    """None: random ids and texts, and the system's clock."""
    exchanges: ExchangeSource
    """A folder of exchange files, or exchanges; they take precedence over the documented ones."""
    model: str | Sequence[str]
    """Accepted models, or "any"."""
    api_key: str | Sequence[str]
    """Accepted keys; `.api_key` is the first."""
    store_size: int
    max_body: int | str
    """Largest body of a request: bytes, or a number with a unit such as "64MiB"."""
    host: str
    """Address to listen on, "127.0.0.1" by default; other than loopback needs `api_key`."""
    allow_host: str | Sequence[str]
    """Other names to accept in the `Host` header, or `*.SUFFIX`."""
    allow_origin: str | Sequence[str]
    """Origins whose web pages may send requests, such as "http://localhost:5173"."""
    unsafe_any_origin: bool
    """Whether `allow_origin` may be "*": every web page may send requests."""
    intercept: bool
    """Whether requests for the service's own https addresses reach the server, if a client's environment has
    the variables of `intercept_env`. Needs `pip install 'responses-mockserver[intercept]'`."""
    allow_connect: str | Sequence[str]
    """Other hosts that such a client may reach, or `*.SUFFIX`."""
    port: int
    """0: any free port."""
    stream_errors: str
    """How errors of a streamed request arrive: "http" (status) or "inband" (200 and an event).

    Default: as the profile does.
    """
    structured_output: str
    """Whether messages follow `text.format`: "ignore" or "obey". Default: as the profile does."""
    function_arguments: str
    """How a stream sends the arguments of a function call: in "deltas", or "whole" with the item."""
    fault: str | Sequence[str]
    """Faults for all requests: `NAME[,OPTION=VALUE…][:PROBABILITY]`."""
    limit: str | Sequence[str]
    """Limits, `NAME=N`: requests and tokens per minute, burst, concurrency, context (or `context-error`)."""
    pace: str
    """none, fixed:MS, model:TTFT,TPS[,JITTER] or model:ttft=D,tps=D with distributions."""
    chunking: str
    """event, coalesced, bytes:N or random."""
    output_tokens: int | str
    """Length of generated messages: a number, a distribution such as "normal(200,50)", or "max" for exactly the
    `max_output_tokens` of the request."""
    pauses: str
    """The clock of pauses in a reply: "machine", or "clock" for the server's, which tests advance."""
    token_counts: str
    """How tokens are counted: "estimate", or "vendor" for the vendor's vocabulary, which needs
    `pip install 'responses-mockserver[tokenizer]'`. All servers of a process count alike, from the first one on."""


_SETTING_TYPES: Mapping[str, tuple[type, ...]] = {
    "profile": (str,),
    "rendering": (str,),
    "seed": (int, type(None)),
    "exchanges": (str, Path, list, tuple),
    "model": (str, list, tuple),
    "api_key": (str, list, tuple),
    "store_size": (int,),
    "max_body": (int, str),
    "host": (str,),
    "allow_host": (str, list, tuple),
    "allow_origin": (str, list, tuple),
    "unsafe_any_origin": (bool,),
    "intercept": (bool,),
    "allow_connect": (str, list, tuple),
    "port": (int,),
    "stream_errors": (str,),
    "structured_output": (str,),
    "function_arguments": (str,),
    "fault": (str, list, tuple),
    "limit": (str, list, tuple),
    "pace": (str,),
    "chunking": (str,),
    "output_tokens": (int, str),
    "pauses": (str,),
    "token_counts": (str,),
    "strict": (bool,),
}

_SETTING_CHOICES: Mapping[str, tuple[str, ...]] = {
    "stream_errors": ("http", "inband"),
    "structured_output": ("ignore", "obey"),
    "function_arguments": ("deltas", "whole"),
    "pauses": ("machine", "clock"),
    "token_counts": TOKEN_COUNTS,
}


def validate_settings(
    values: Mapping[str, Any], source: str, allowed_names: Collection[str] | None = None
) -> ServerSettings:
    """`values` as settings; ConfigurationError names the first invalid one and its source."""
    names = list(ServerSettings.__annotations__) if allowed_names is None else sorted(allowed_names)
    for name, value in values.items():
        if name not in names:
            raise ConfigurationError(f"{source}: no server setting {name!r}{choose_from(name, names)}")
        if not isinstance(value, _SETTING_TYPES[name]) or (
            isinstance(value, bool) and bool not in _SETTING_TYPES[name]
        ):
            raise ConfigurationError(f"{source}: {name} cannot be {value!r}")
        if name == "max_body":
            parse_body_size(cast("int | str", value))
        if name in _SETTING_CHOICES and value not in _SETTING_CHOICES[name]:
            raise ConfigurationError(
                f"{source}: {name} must be {' or '.join(_SETTING_CHOICES[name])}, not {value!r}"
            )
    return cast("ServerSettings", dict(values))


def as_tuple(value: str | Sequence[str]) -> tuple[str, ...]:
    """A single value as a tuple of one."""
    return (value,) if isinstance(value, str) else tuple(value)


def existing_folder(exchanges: str | Path) -> Path:
    """The folder; ConfigurationError if it does not exist."""
    folder = Path(exchanges)
    if not folder.is_dir():
        raise ConfigurationError(f"exchanges: no folder {exchanges}")
    return folder
