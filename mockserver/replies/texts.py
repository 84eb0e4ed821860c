"""What the model says when nobody scripted it: short texts in the language of the input.

Faker fills a pool for each language once; a reply picks from it, so generated text costs nothing on
the way of a request. The pools are fixed: which text a request gets is decided by its own draw.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from random import Random

from mockserver.replies.script import Message, Reasoning, chunk_text

__all__ = ["FAKER_LOCALES", "POOL_SIZE", "detect_language", "message_from_pool", "text_from_pool", "reasoning_from_pool"]

#: Texts in each language's pool.
POOL_SIZE = 64

#: Faker's locale for each language.
FAKER_LOCALES = {"en": "en_US", "zh": "zh_CN", "ja": "ja_JP", "ru": "ru_RU", "ar": "ar_AA"}

#: The first script found decides; kana before Han, since Japanese is written in both.
_WRITING_SYSTEMS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
)

#: How far into an input to look for its language.
_MAX_DETECTION_CHARACTERS = 2000


def detect_language(text: str) -> str:
    """The language a reply to `text` is in, by its script; English where nothing says otherwise."""
    sample = text[:_MAX_DETECTION_CHARACTERS]
    if sample.isascii():
        return "en"
    return next((language for language, script in _WRITING_SYSTEMS if script.search(sample)), "en")


def text_from_pool(language: str, text_seed: int) -> str:
    """A few sentences; any whole number picks one."""
    pool = _text_pool(language)
    return pool[text_seed % len(pool)]


@lru_cache(maxsize=1024)
def message_from_pool(language: str, text_seed: int) -> Message:
    """A message of that pool, cut into deltas of one to four words."""
    return Message(chunk_text(text_from_pool(language, text_seed), _chunk_sizes(text_seed)))


@lru_cache(maxsize=1024)
def reasoning_from_pool(language: str, text_seed: int) -> Reasoning:
    """A thought of that pool, cut into deltas of one to four words."""
    return Reasoning(chunk_text(text_from_pool(language, text_seed), _chunk_sizes(text_seed)))


def _chunk_sizes(text_seed: int) -> list[int]:
    chooser = Random(text_seed)
    return [chooser.randint(1, 4) for _ in range(64)]


@cache
def _text_pool(language: str) -> tuple[str, ...]:
    from faker import Faker  # 0.2 s to import: paid by the first generated text, not by every command

    faker = Faker(FAKER_LOCALES[language])
    faker.seed_instance(20260127)
    return tuple(_localize_punctuation(faker.paragraph(nb_sentences=3), language) for _ in range(POOL_SIZE))


def _localize_punctuation(text: str, language: str) -> str:
    """Faker ends Chinese sentences with a Latin full stop."""
    return text.replace(".", "。") if language == "zh" else text
