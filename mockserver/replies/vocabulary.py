"""Token counts by the vendor's published vocabulary, which the optional package dashscope carries."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

from mockserver.errors import ConfigurationError, optional_packages

__all__ = ["Vocabulary", "load_vocabulary"]

#: The only vocabulary that is used, so that no update of a package changes token counts: qwen.tiktoken of 2026.
SHA256 = "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186"

#: How the vocabulary's own tokenizer splits a text first (qwen_tokenizer.py in dashscope 2.0).
SPLITS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

#: Longer texts are counted in pieces: tiktoken needs stack for very long words.
_PIECE_CHARACTERS = 100_000


class Vocabulary(NamedTuple):
    """How to count tokens, and where they end."""

    count: Callable[[str], int]
    ends: Callable[[str], Iterator[int]]


def load_vocabulary() -> Vocabulary:
    """Load the vocabulary. Raises MissingPackage, and ConfigurationError if it is another one."""
    with optional_packages():
        tiktoken = import_module("tiktoken")
        spec = find_spec("dashscope")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError("No module named 'dashscope'", name="dashscope")
    file = Path(spec.origin).parent / "resources" / "qwen.tiktoken"
    data = file.read_bytes() if file.is_file() else b""
    if sha256(data).hexdigest() != SHA256:
        raise ConfigurationError(
            "--token-counts vendor: the installed dashscope has another vocabulary than that of 2.0"
        )
    lines = (line.split() for line in data.splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    return _vocabulary_of(tiktoken.Encoding("qwen", pat_str=SPLITS, mergeable_ranks=ranks, special_tokens={}))


def _vocabulary_of(encoding: Any) -> Vocabulary:
    def count(text: str) -> int:
        text = normalize("NFC", text)
        starts = range(0, len(text), _PIECE_CHARACTERS)
        return sum(len(encoding.encode_ordinary(text[at : at + _PIECE_CHARACTERS])) for at in starts)

    def ends(text: str) -> Iterator[int]:
        for start in range(0, len(text), _PIECE_CHARACTERS):
            piece = text[start : start + _PIECE_CHARACTERS]
            _, offsets = encoding.decode_with_offsets(encoding.encode_ordinary(piece))
            yield from (start + each for each in (*offsets[1:], len(piece)))

    return Vocabulary(count, ends)
