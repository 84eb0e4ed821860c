"""Chooses values by a member's name that do no harm if an agent really uses them.

A real agent may execute a generated call, so a command is `true`, a path is `/dev/null`, and a URL has a
host under `.invalid` (RFC 2606), which never resolves.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

__all__ = [
    "FORMAT_SAMPLES",
    "allowed_values",
    "is_destructive",
    "is_risky",
    "safe_flag",
    "sample_number",
    "sample_text",
    "texts_for",
]

# From the best to the shortest: truncating a value could give it another meaning.
_SAFE_COMMANDS = ("true", ":")
_SAFE_PATHS = ("/dev/null", "null", "n")
_SAFE_URLS = (
    "https://example.invalid/",
    "http://example.invalid/",
    "https://example.com",
    "https://example.com/",
    "http://a.invalid",
    "a.invalid",
    "a",
)

_ALLOWED_VALUES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        "cmd command commandline cmdline script code shell bash sh zsh powershell pwsh exec execute"
        " executable program binary run eval expression python javascript js perl ruby php sql statement"
        " snippet stdin chars keystrokes argv entrypoint hook macro 命令 脚本 代码".split(),
        _SAFE_COMMANDS,
    ),
    **dict.fromkeys(
        "path filepath pathname file filename dir dirname directory folder cwd workdir workspace outfile"
        " infile src dst dest destination 路径 文件 文件名 目录".split(),
        _SAFE_PATHS,
    ),
    **dict.fromkeys(
        "url uri link href endpoint webhook callback website site 网址 链接".split(),
        _SAFE_URLS,
    ),
}
# Names written as one word, such as `shellcommand` or `OUTPUTFILE`.
_GUARDED_NAME_ENDINGS = "command script code shell filename path file directory folder dir url uri".split()

_SAMPLE_TEXTS = {
    **dict.fromkeys("city location place town destinationcity origin".split(), "Hangzhou"),
    **dict.fromkeys("城市 地点".split(), "杭州"),
    "country": "China",
    "countrycode": "CN",
    **dict.fromkeys("language lang locale languagecode".split(), "en"),
    **dict.fromkeys("currency currencycode".split(), "CNY"),
    **dict.fromkeys("zip zipcode postcode postalcode".split(), "310000"),
    **dict.fromkeys("date day startdate enddate birthday".split(), "2026-01-01"),
    "time": "12:00:00",
    **dict.fromkeys("datetime timestamp".split(), "2026-01-01T12:00:00Z"),
    **dict.fromkeys("timezone tz".split(), "Asia/Shanghai"),
    **dict.fromkeys("email mail recipient recipients cc bcc".split(), "user@example.com"),
    **dict.fromkeys("phone telephone mobile".split(), "+15550100"),
    **dict.fromkeys("host hostname domain server".split(), "example.invalid"),
    **dict.fromkeys("ip ipaddress".split(), "192.0.2.1"),
    **dict.fromkeys("query q search keyword keywords".split(), "weather in Hangzhou"),
    "question": "What is the weather in Hangzhou?",
    **dict.fromkeys("text content message body prompt input description summary".split(), "A short text"),
    **dict.fromkeys("name title label header username".split(), "Sample"),
    **dict.fromkeys("id identifier uid key".split(), "sample-1"),
    **dict.fromkeys("unit units".split(), "celsius"),
    **dict.fromkeys("color colour".split(), "blue"),
    **dict.fromkeys("address street".split(), "1 Example Street"),
    "model": "qwen-plus",
    "profile": "default",
    **dict.fromkeys("transcript manuscript".split(), "A short text"),
}
_SAMPLE_NUMBERS: dict[str, float] = {
    **dict.fromkeys(("latitude", "lat"), 30.25),
    **dict.fromkeys(("longitude", "lon", "lng"), 120.25),
    "year": 2026,
    "hour": 12,
    # No process has this id; 1 is init, 0 and -1 are whole groups.
    **dict.fromkeys(("pid", "ppid", "pgid", "processid"), 2_147_483_647),
    # The user and group `nobody`.
    **dict.fromkeys(("uid", "gid"), 65_534),
}
#: Functions that make a value for each format the validator knows; each number gives another value.
FORMAT_SAMPLES: dict[str, Callable[[int], str]] = {
    "date": lambda n: f"2026-01-{1 + n % 28:02}",
    "date-time": lambda n: f"2026-01-01T12:{n // 60 % 60:02}:{n % 60:02}Z",
    "time": lambda n: f"12:{n // 60 % 60:02}:{n % 60:02}Z",
    "duration": lambda n: f"PT{n + 1}M",
    **dict.fromkeys(("email", "idn-email"), lambda n: f"user{n or ''}@example.com"),
    **dict.fromkeys(("uri", "iri", "uri-reference", "iri-reference", "uri-template"),
                    lambda n: f"https://example.invalid/{n or ''}"),
    "uuid": lambda n: f"00000000-0000-4000-8000-{n % 16**12:012x}",
    "ipv4": lambda n: f"192.0.2.{1 + n % 254}",
    "ipv6": lambda n: f"2001:db8::{1 + n % 0xFFFE:x}",
    **dict.fromkeys(("hostname", "idn-hostname"), lambda n: f"host{n}.example.invalid"[0 if n else 6:]),
    "json-pointer": lambda n: f"/{n}",
    "relative-json-pointer": str,
    "regex": lambda n: "^text$" if not n else f"^text{n}$",
}  # fmt: skip
_FLAGS_SAFE_WHEN_TRUE = {"dryrun", "simulate", "readonly", "noop", "preview", "safe"}
_DESTRUCTIVE_WORDS = frozenset(
    stem + ending
    for stems, endings in (
        ("rm rmdir sudo mkfs dd chmod chown curl wget shutdown reboot", [""]),
        ("delet remov eras wip purg overwrit terminat truncat revok escalat forc", ["e", "es", "ed", "ing"]),
        (
            "destroy drop kill reset format uninstall transfer overwrite",
            ["", "s", "ed", "ing", "ped", "ping"],
        ),
    )
    for stem in stems.split()
    for ending in endings
)
_MAX_LEAF_CHARACTERS = 1_000
_MAX_LEAVES = 10
_CAMEL_CASE_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")


def allowed_values(name: str) -> tuple[str, ...]:
    """The only values that a member with this name may have, the best first; empty if any value is safe."""
    joined, words = _name_words(name)
    if joined in _SAMPLE_TEXTS:
        return ()
    for word in (joined, *reversed(words)):
        allowed = _ALLOWED_VALUES.get(word) or _ALLOWED_VALUES.get(word.removesuffix("s"))
        if allowed:
            return allowed
    if "directories" in words:
        return _SAFE_PATHS
    single = joined.removesuffix("s")
    return next((_ALLOWED_VALUES[end] for end in _GUARDED_NAME_ENDINGS if single.endswith(end)), ())


def sample_text(name: str) -> str:
    """A short sensible text for a member with this name."""
    joined, words = _name_words(name)
    samples = (
        _SAMPLE_TEXTS.get(word) or _SAMPLE_TEXTS.get(word.removesuffix("s"))
        for word in (joined, *reversed(words))
    )
    return next((sample for sample in samples if sample), "text")


def sample_number(name: str) -> float:
    """A harmless number for a member with this name."""
    joined, words = _name_words(name)
    return next((_SAMPLE_NUMBERS[word] for word in (joined, *reversed(words)) if word in _SAMPLE_NUMBERS), 1)


def safe_flag(name: str) -> bool:
    """False, except for names such as `dry_run`, for which true is the safe value."""
    return _name_words(name)[0] in _FLAGS_SAFE_WHEN_TRUE


def texts_for(name: str, min_length: int, max_length: float, variant: int) -> tuple[str, ...]:
    """Texts for a member with this name, within the lengths if the meaning allows it.

    A text is lengthened without changing its meaning: spaces after a command, slashes inside a path.
    """
    allowed = allowed_values(name)
    if not allowed:
        base = sample_text(name) if not variant else f"{sample_text(name)} {variant + 1}"
        longer = (
            base
            if len(base) >= min_length
            else (base + " text" * (min_length // 5 + 1))[:min_length].rstrip().ljust(min_length, "t")
        )
        return (longer if len(longer) <= max_length else (str(variant + 1) + base)[: int(max_length)],)
    stretched = (_lengthen(value, allowed, max(min_length - len(value), variant)) for value in allowed)
    empty = ("",) if max_length < 1 else ()
    return (*(value for value in stretched if min_length <= len(value) <= max_length), *empty)


def _lengthen(value: str, allowed: tuple[str, ...], extra: int) -> str:
    if not extra:
        return value
    if allowed is _SAFE_COMMANDS:
        return value + " " * extra
    if allowed is _SAFE_PATHS:
        return value.replace("/null", "/" * extra + "/null") if "/" in value else value + "l" * extra
    return value + "a" * extra if value.endswith("/") else "a" * extra + value if "/" not in value else value


def is_destructive(value: Any, name: str) -> bool:
    """Whether the use of a value that the schema lists may do harm: `delete`, or true for `force`."""
    return _any_leaf(value, name, _is_destructive_leaf)


def is_risky(value: Any, name: str) -> bool:
    """Whether a value that the schema only suggests is unsafe for a member with this name."""
    return _any_leaf(
        value, name, lambda leaf, member: _is_destructive_leaf(leaf, member) or _is_disallowed(leaf, member)
    )


def _is_disallowed(leaf: Any, name: str) -> bool:
    allowed = allowed_values(name)
    return bool(allowed) and isinstance(leaf, str) and leaf not in allowed


def _is_destructive_leaf(leaf: Any, name: str) -> bool:
    if isinstance(leaf, str):
        return not _DESTRUCTIVE_WORDS.isdisjoint(
            _WORD.findall(_CAMEL_CASE_BOUNDARY.sub(" ", leaf).casefold())
        )
    return leaf is True and not safe_flag(name)


def _any_leaf(value: Any, name: str, predicate: Callable[[Any, str], bool]) -> bool:
    # A value that is too large to inspect counts as unsafe.
    leaves = list(islice(_leaves(value, name), _MAX_LEAVES + 1))
    return len(leaves) > _MAX_LEAVES or any(
        (isinstance(leaf, str) and len(leaf) > _MAX_LEAF_CHARACTERS) or predicate(leaf, member)
        for leaf, member in leaves
    )


def _leaves(value: Any, name: str) -> Iterator[tuple[Any, str]]:
    if isinstance(value, dict):
        for member, item in value.items():
            yield from _leaves(item, member)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, name)
    else:
        yield value, name


@lru_cache(maxsize=512)
def _name_words(name: str) -> tuple[str, list[str]]:
    plain = unicodedata.normalize("NFKC", name[:200])
    words = [word.casefold() for word in _WORD.findall(_CAMEL_CASE_BOUNDARY.sub(" ", plain))]
    return "".join(words), words
