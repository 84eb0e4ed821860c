"""Redaction: remove secrets from texts, bodies, values and headers before they are written or printed.

Tables say where credentials are: `_SECRET_POINTERS` and `_URL_POINTERS` for members of bodies,
`_CREDENTIAL_PARAMETER` for URLs, `wire.public_headers` for headers. A project adds its own masks (`wire.masks`).

Texts and bodies that are printed get `[redacted]`. Bytes that are recorded keep their length, so that chunks
and offsets stay the same. Names of members are never masked for a short key, which could be an ordinary word.
"""

from __future__ import annotations

import json as stdlib_json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from mockserver.errors import ConfigurationError
from mockserver.wire import json
from mockserver.wire.body_scan import MASK, MIN_SECRET_LENGTH, REDACTED, BodyScan, fill, is_secret_text
from mockserver.wire.masks import NO_MASKS, Masks, Path, configured_masks, ends_with
from mockserver.wire.public_headers import is_public_header

__all__ = [
    "MASK",
    "MIN_KEY_LENGTH",
    "REDACTED",
    "find_credentials",
    "mask",
    "mask_reply",
    "mask_request",
    "may_have_credentials",
    "may_have_masked_members",
    "redact",
    "redact_body",
    "redact_header",
    "redact_headers",
    "redact_keys",
    "redact_url",
    "redact_value",
    "require_maskable_key",
    "text_redactor",
]


#: Shorter keys are refused where bytes are recorded: a shorter text can be part of any word.
MIN_KEY_LENGTH = 8
#: Secrets of at least this length are masked in names too.
_MIN_NAME_SECRET_LENGTH = 16

#: Members with credentials of third parties, wherever they are in a body: those of MCP servers (API reference,
#: tools, August 2026; `authorization`: OpenAI's reference, 2026). `*` matches any step.
_SECRET_POINTERS = (
    *(("tools", "*", "headers", "*"), ("tools", "*", "authorization")),
    *(("tools", "headers", "*"), ("tools", "authorization")),  # an object in place of the list, by mistake
)
#: Members with a URL in which every query value is a credential.
_URL_POINTERS = (("tools", "*", "server_url"), ("tools", "server_url"))
#: Query parameters that hold credentials in any URL: signatures of object stores (OSS, S3, GCS, Azure), and
#: the usual names of keys and tokens.
_CREDENTIAL_PARAMETER = (
    r"(?i)x-(?:amz|oss|goog|cos)-.*|(?:oss|aws)?accesskeyid|googleaccessid|signature|sig|sign|policy"
    r"|(?:[a-z]+[-_])*(?:token|key|apikey|secret|password|passwd|pwd|auth|authorization|credential|code)"
)

#: The service's keys: `sk-…`, `sk-ws-…`, `sk-sp-…` (error-code page, 2026).
_KEY_PATTERN = re.compile(r"\bsk-[A-Za-z0-9_-]{4,}")
#: Keys in replies: longer, because texts contain the names of packages and tasks.
_LONG_KEY_PATTERN = re.compile(r"\bsk-[A-Za-z0-9_-]{16,}")

_AFTER_SCHEME = re.compile(r"(?<=://)[^\s\"'<>`\\]*[^\s\"'<>`\\.,!?)]")
_PARAMETER = r"(?<=[?&#;])([^=&#;?]+)=([^&#;]*)"
#: A user and password, also in a URL that is cut before the host.
_USER_INFO = r"[^/?#]*@|[^/?#\[:]*:(?![0-9]*(?:[/?#…]|\Z))[^/?#]*"

#: The end of a shortened text, as it is and in bytes that are read as Latin-1.
_ELLIPSES = ("…", "…".encode().decode("latin-1"))

#: JSON inside a string of JSON, such as a shortened value in a finding.
_MAX_NESTING = 3
#: Paths of which a redactor remembers whether they are masked.
_MAX_KNOWN_PATHS = 1000

#: Fill the place of a secret in a text, and in bytes that are read as Latin-1.
_TEXT_FILLER, _RAW_FILLER = "•", "*"


def require_maskable_key(key: str, name: str) -> str:
    """The key. Raises ConfigurationError if it is too short to be masked."""
    if len(key) < MIN_KEY_LENGTH:
        raise ConfigurationError(
            f"{name} is shorter than {MIN_KEY_LENGTH} characters: it could not be told from ordinary words, "
            "and so not be kept out of files"
        )
    return key


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Redact a text of no particular format: secrets, credentials in URLs, whatever looks like a key or matches."""
    return _redactor(tuple(secrets), configured_masks()).redact_text(text)


def text_redactor(secrets: tuple[str, ...]) -> Callable[[str], str]:
    """What redacts many texts as `redact` does, by the masks of now."""
    return _redactor(secrets, configured_masks()).redact_text


def redact_keys(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace only the given secrets and what looks like a key."""
    return _redactor(tuple(secrets), NO_MASKS).redact_secrets(text)


def redact_url(url: str, secrets: Iterable[str] = ()) -> str:
    """Redact a URL, with or without its scheme and host."""
    redactor = _redactor(tuple(secrets), configured_masks())
    return redactor.redact_text(redactor.redact_parameters(url) if "?" in url else url)


def redact_body(text: str, secrets: Iterable[str] = ()) -> str:
    """Redact a body, whether or not it is valid: JSON, a stream, or a text."""
    return _redactor(tuple(secrets), configured_masks()).redact_body(text)


def redact_value(value: Any, secrets: Iterable[str] = (), pointer: str = "") -> Any:
    """Redact a JSON value that is at `pointer` of a body."""
    redactor = _redactor(tuple(secrets), configured_masks())
    return redactor.redact_value(value, tuple(json.parse_pointer(pointer)), [])


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Like `redact`, but keep the length of the text."""
    return _redactor(tuple(secrets), configured_masks(), _TEXT_FILLER).redact_text(text)


def redact_header(name: str, value: str, secrets: Iterable[str] = ()) -> tuple[str, str]:
    """Redact a header: one that is not public keeps only its name."""
    secrets = tuple(secrets)
    clean_name = redact_keys(name, (*secrets, *(each.lower() for each in secrets)))  # names are often lowered
    return clean_name, redact_url(value, secrets) if is_public_header(name) else REDACTED


def redact_headers(headers: Iterable[tuple[bytes, bytes]], secrets: Iterable[str] = ()) -> dict[str, str]:
    """Return headers, with lower-case names, without secrets."""
    secrets = tuple(secrets)
    return dict(
        redact_header(name.decode("latin-1").lower(), value.decode("latin-1"), secrets)
        for name, value in headers
    )


def mask_request(
    value: Any, secrets: Iterable[str] = (), masks: Masks = NO_MASKS
) -> tuple[Any, tuple[str, ...]]:
    """(a request's JSON value without secrets, the credentials that it had)."""
    secrets, removed = tuple(secrets), list[str]()
    value = _redactor(secrets, masks).redact_value(value, (), removed)
    found = tuple(dict.fromkeys(each for each in removed if len(each) >= MIN_KEY_LENGTH))
    return (_redactor(found, NO_MASKS).redact_value(value, (), []) if found else value), found


def may_have_masked_members(text: str, masks: Masks) -> bool:
    """Whether a text names all members on the way to a masked one; an escape may spell any name."""
    return "\\u" in text or any(
        all(step in text for step in steps if not step.isdigit() and step != "*")
        for steps in (*_SECRET_POINTERS, *_URL_POINTERS, *masks.steps)
    )


def find_credentials(body: bytes) -> tuple[str, ...]:
    """The credentials in a request's body that are to be redacted wherever they appear."""
    masks = configured_masks()
    if not (masks.pointers or masks.patterns or _has_credential_sign(body)):
        return ()
    value = json.loads_or_none(body)
    if len(body) > _MAX_WALKED_BYTES and isinstance(value, dict) and not masks.pointers:
        return _find_in_large_request(value, body.decode(errors="replace"))
    if value is None:
        return ()
    removed: list[str] = []
    _redactor((), masks).redact_value(value, (), removed)
    return _texts_to_redact(removed)


def _texts_to_redact(removed: Iterable[str]) -> tuple[str, ...]:
    """What to redact in messages about a request: a short text only as they quote it; it can be part of any word."""
    return tuple(dict.fromkeys(each if len(each) >= MIN_KEY_LENGTH else repr(each) for each in removed))


def may_have_credentials(body: bytes) -> bool:
    """Whether a body has what bodies with credentials have; most have not."""
    # Not `in`, which takes ten times as long: it takes the sign for a number first.
    find = body.find
    return find(b"//") >= 0 or find(b"\\") >= 0 or find(b'"headers"') >= 0 or find(b'"authorization"') >= 0


def _has_credential_sign(body: bytes) -> bool:
    """Whether a body has one of the signs; window by window, so that other threads can run in between."""
    if not may_have_credentials(body):
        return False
    windows = range(0, len(body), _WINDOW_BYTES)
    return any(_CREDENTIAL_SIGN.search(body, at, at + _WINDOW_BYTES + _MAX_SIGN_BYTES) for at in windows)


def _find_in_large_request(value: Mapping[str, Any], text: str) -> tuple[str, ...]:
    """The credentials of its tools and URLs; to walk through all of a large value takes too long for a log."""
    redactor, removed = _redactor((), configured_masks()), list[str]()
    holder = value.get("request", value)
    if isinstance(holder, Mapping):
        redactor.redact_value(holder.get("tools"), ("tools",), removed)
    plain = text.replace("\\/", "/").replace("\\u0026", "&")
    start = plain.find("://")
    while start >= 0:
        match = _AFTER_SCHEME.match(plain, start + 3)
        if match is not None:
            redactor.redact_parameters(match[0], is_absolute=True, removed=removed)
        start = plain.find("://", match.end() if match is not None else start + 3)
    removed += configured_masks().matches(plain)
    return _texts_to_redact(removed)


#: What a body with credentials has: the name of a member, a URL, or a letter that is written as an escape, which can
#: hide either; encoders escape only other characters.
_CREDENTIAL_SIGN = re.compile(rb'"(?:headers|authorization)"|:(?:\\?/){2}|\\u00[4-7]')
_WINDOW_BYTES = 1 << 16
_MAX_SIGN_BYTES = 16
_MAX_WALKED_BYTES = 64 << 10


def mask_reply(chunks: Sequence[bytes], secrets: Iterable[str] = (), masks: Masks = NO_MASKS) -> list[bytes]:
    """Mask a reply for a recording: also what spans chunks or the deltas of a stream. The lengths stay."""
    whole = b"".join(chunks).decode("latin-1")
    clean = _redactor(tuple(secrets), masks, _RAW_FILLER).redact_body(whole).encode("latin-1")
    pieces, start = [], 0
    for chunk in chunks:
        pieces.append(clean[start : start + len(chunk)])
        start += len(chunk)
    return pieces


@lru_cache(maxsize=64)
def _redactor(secrets: tuple[str, ...], masks: Masks, filler: str = "") -> _Redactor:
    return _Redactor(secrets, masks, filler)


class _Redactor:
    """Removes one set of secrets; with a filler, everything keeps its length."""

    def __init__(self, secrets: tuple[str, ...], masks: Masks, filler: str) -> None:
        self._secrets = secrets
        self._masks = masks
        self.filler = filler
        self.is_raw = filler == _RAW_FILLER
        self.has_numbers = any(step.isdecimal() for steps in masks.steps for step in steps)
        self._masked_paths: dict[Path, bool] = {}
        self._key_pattern = _LONG_KEY_PATTERN if self.is_raw else _KEY_PATTERN
        long = {each for secret in secrets if len(secret) >= MIN_KEY_LENGTH for each in _variants(secret)}
        self._long_secrets = sorted(long, key=lambda each: (-len(each), each))
        self._name_secrets = [each for each in self._long_secrets if len(each) >= _MIN_NAME_SECRET_LENGTH]
        #: A text without any of them has no secret, nor half a one.
        starts = {each[:MIN_SECRET_LENGTH] for each in (*long, *secrets)}
        self._signs = ("sk-", "://", *sorted(each for each in starts if "sk-" not in each))
        short = {each for each in secrets if MIN_SECRET_LENGTH <= len(each) < MIN_KEY_LENGTH}
        words = "|".join(map(re.escape, sorted(short)))
        self._short_secrets = re.compile(rf"(?<![A-Za-z0-9_])(?:{words})(?![A-Za-z0-9_])") if short else None

    def cover(self, text: str) -> str:
        """The text that replaces a secret."""
        if not self.filler:
            return REDACTED
        return fill(len(text)) if self.is_raw else self.filler * len(text)

    def in_same_length(self) -> _Redactor:
        """One with the same secrets that keeps lengths."""
        return self if self.filler else _redactor(self._secrets, self._masks, _TEXT_FILLER)

    def redact_secrets(self, text: str) -> str:
        for secret in self._long_secrets:
            if secret in text:
                text = text.replace(secret, self.cover(secret))
        if self._short_secrets is not None and not self.is_raw:
            text = self._short_secrets.sub(lambda match: self.cover(match[0]), text)
        if "…" in text and self._long_secrets:
            text = "…".join([*map(self._redact_cut_secret, text.split("…")[:-1]), text.rpartition("…")[2]])
        return self._key_pattern.sub(lambda match: self.cover(match[0]), text) if "sk-" in text else text

    def _redact_cut_secret(self, text: str, min_length: int = MIN_SECRET_LENGTH) -> str:
        """Half a key is a secret too: redact the start of one at the end of a shortened text."""
        for secret in self._long_secrets:
            if secret[:min_length] not in text[-len(secret) :]:
                continue
            for length in range(min(len(secret) - 1, len(text)), min_length - 1, -1):
                if text.endswith(secret[:length]):
                    return text[:-length] + self.cover(secret[:length])
        return text

    def redact_end(self, text: str) -> str:
        """Like `redact_text`; the text may end within a secret, because its stream was cut."""
        return self._redact_cut_secret(self.redact_text(text), MIN_KEY_LENGTH)

    def redact_text(self, text: str) -> str:
        if not self._masks.patterns:
            for sign in self._signs:  # every log line is searched: `any` would take twice as long
                if sign in text:
                    break
            else:
                return text
        text = self.redact_secrets(text)
        if "://" in text:
            text = _AFTER_SCHEME.sub(lambda match: self.redact_parameters(match[0], is_absolute=True), text)
        return self._masks.substitute(text, self.cover)

    def redact_parameters(
        self, url: str, *, is_absolute: bool = False, every: bool = False, removed: list[str] | None = None
    ) -> str:
        """A URL without its user and its secret parameters, or without `every` value of its query."""

        def cover(match: re.Match[str]) -> str:
            if match[2] in ("", REDACTED) or not (
                every or re.fullmatch(_CREDENTIAL_PARAMETER, unquote(match[1]))
            ):
                return match[0]
            if removed is not None:
                removed.extend((match[2], unquote(match[2])))
            return f"{match[1]}={self.cover(match[2])}"

        if is_absolute and (user := re.match(_USER_INFO, url)):
            name = user[0].removesuffix("@")
            if removed is not None and name != REDACTED:
                removed.extend((name, *name.split(":")))
            url = self.cover(name) + url[len(name) :]
        return re.sub(_PARAMETER, cover, url)

    def redact_string(self, text: str, path: Path, removed: list[str] | None, nesting: int = 0) -> str:
        """A string value of a body."""
        if "://" in text:
            every = any(ends_with(path, each) for each in _URL_POINTERS)
            text = _AFTER_SCHEME.sub(
                lambda match: self.redact_parameters(
                    match[0], is_absolute=True, every=every, removed=removed
                ),
                text,
            )
        if '"' in text and nesting < _MAX_NESTING and text.lstrip()[:1] in ("{", "["):
            text = BodyScan(self, path, nesting + 1).redact(text)
        if removed is not None:
            removed += self._masks.matches(text)
        return self.redact_text(text)

    def redact_name(self, name: str) -> str:
        """A member's name; it may contain a short key by chance."""
        for secret in self._name_secrets:
            name = name.replace(secret, self.cover(secret))
        return self._key_pattern.sub(lambda match: self.cover(match[0]), name) if "sk-" in name else name

    def is_masked(self, path: Path) -> bool:
        known = self._masked_paths.get(path)
        if known is None:
            known = any(ends_with(path, each) for each in _SECRET_POINTERS) or self._masks.covers(path)
            if len(self._masked_paths) < _MAX_KNOWN_PATHS:
                self._masked_paths[path] = known
        return known

    def redact_value(self, value: Any, path: Path, removed: list[str]) -> Any:
        """A JSON value; the credentials in it are added to `removed`."""
        if path and (self.is_masked(path) or (isinstance(value, str) and is_secret_text(path))):
            is_public = "headers" in path and is_public_header(path[-1])
            removed += [] if is_public else _credentials_in(value)
            return MASK
        if isinstance(value, str):
            return self.redact_string(value, path, removed)
        if isinstance(value, list | tuple):
            return [self.redact_value(each, (*path, str(at)), removed) for at, each in enumerate(value)]
        if isinstance(value, Mapping):
            return {
                self.redact_name(str(name)): self.redact_value(each, (*path, str(name)), removed)
                for name, each in value.items()
            }
        return value

    def redact_body(self, text: str) -> str:
        if not self._may_change(text):
            return text
        text = BodyScan(self, (), 0).redact(text)
        for secret in self._name_secrets:
            if secret in text:  # across tokens, in a body that is no JSON
                text = text.replace(secret, self.cover(secret))
        return self._redact_cut_secret(text, MIN_KEY_LENGTH)

    def may_have_secrets(self, text: str) -> bool:
        """Whether a text that is written as it is may have something to redact beside the credentials in a URL."""
        return (
            bool(self._masks.as_options)
            or any(each in text for each in ("sk-", *_ELLIPSES, *self._long_secrets))
            or any(not each.isascii() for each in self._secrets)
            or (self._short_secrets is not None and self._short_secrets.search(text) is not None)
        )

    def _may_split_secret(self, text: str) -> bool:
        """Whether deltas in a body that has no whole secret can be pieces of one, or one of them its start."""
        delta = re.search(_WHOLE_DELTA, text)
        if delta is None or self.is_raw or text.count('"delta"') > 1:
            return True
        return self.in_same_length().redact_end(delta[1]) != delta[1]

    def _may_change(self, text: str) -> bool:
        """Whether anything in a body can be a secret: to scan a large one, or many, takes long."""
        signs = (*("\\", '"headers"', '"authorization"', "://", "sk-", "…"), *self._long_secrets)
        return (
            any(each in text for each in signs)
            or ('"delta"' in text and self._may_split_secret(text))
            or bool(self._masks.as_options)
            or (self._short_secrets is not None and self._short_secrets.search(text) is not None)
            or self._redact_cut_secret(text, MIN_KEY_LENGTH) != text
        )


#: A delta that is a text, and then the end of its object or the next name: what follows does not continue it.
_WHOLE_DELTA = r'"delta"\s*:\s*"([^"\\]*)"\s*(?:\}|,\s*"[^"\\]*"\s*:)'
#: Members whose values are words of the API: a reply has them too, and they give nothing away.
_ENUMERATED_MEMBERS = frozenset({"type", "role", "status"})


def _credentials_in(value: Any) -> Iterator[str]:
    """The texts in a masked value; of `Bearer KEY` also the key alone."""
    if isinstance(value, str) and value not in (MASK, REDACTED):
        yield value
        if " " in value:
            yield value.rpartition(" ")[2]
    elif isinstance(value, list):
        for each in value:
            yield from _credentials_in(each)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            if name not in _ENUMERATED_MEMBERS:
                yield from _credentials_in(each)


def _variants(secret: str) -> Iterator[str]:
    """A secret as it is, in JSON and in a URL."""
    yield secret
    escaped = stdlib_json.dumps(secret)[1:-1]
    yield from (escaped, escaped.replace("/", "\\/"), quote(secret, safe="", errors="replace"))
