"""The error of estimated token counts: against the vendor's published vocabulary, in many languages.

`tokens.json` has the texts (the first article of the Universal Declaration of Human Rights, and our own) and their
tokens by the vocabulary. `--vocabulary FILE` counts these again, with tiktoken; the file is `qwen.tiktoken` in the
package dashscope.
"""

from __future__ import annotations

import argparse
import base64
import json
import unicodedata
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from mockserver.replies.token_counts import count_tokens
from mockserver.replies.vocabulary import SPLITS

TEXTS = Path(__file__).with_name("tokens.json")


def load_texts() -> dict[str, dict[str, Any]]:
    """By language: a text, and its tokens by the vocabulary."""
    texts: dict[str, dict[str, Any]] = json.loads(TEXTS.read_text(encoding="utf-8"))
    return texts


def relative_error(text: str, tokens: int) -> float:
    """How far the estimate is from the tokens of a text."""
    return count_tokens(text) / tokens - 1


def _vocabulary_counter(file: Path) -> Callable[[str], int]:
    tiktoken = import_module("tiktoken")  # not among the packages for development
    lines = (line.split() for line in file.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    encoding = tiktoken.Encoding("qwen", pat_str=SPLITS, mergeable_ranks=ranks, special_tokens={})
    return lambda text: len(encoding.encode(unicodedata.normalize("NFC", text), disallowed_special=()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocabulary", type=Path, metavar="FILE", help="count with this vocabulary again")
    vocabulary = parser.parse_args().vocabulary
    count = None if vocabulary is None else _vocabulary_counter(vocabulary)
    print(f"{'text':12}{'vocabulary':>11}{'estimate':>10}{'error':>8}")
    for name, row in load_texts().items():
        tokens = row["tokens"] if count is None else count(row["text"])
        error = relative_error(row["text"], tokens)
        print(f"{name:12}{tokens:11}{count_tokens(row['text']):10}{error:8.0%}")


if __name__ == "__main__":
    main()
