"""Token counts by the vendor's vocabulary; a small one stands in for it, with a tokenizer that splits bytes."""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mockserver.errors import ConfigurationError, MissingPackage
from mockserver.replies import vocabulary
from mockserver.replies.script import message_script
from mockserver.replies.token_counts import count_tokens, token_counts_in_force, token_ends, use_token_counts
from mockserver.replies.truncation import first_tokens
from mockserver.replies.usage import count_output_tokens
from tests.programs import run_program


class ByteEncoding:
    """The interface of tiktoken.Encoding, with one token for each byte."""

    def __init__(self, name: str, **options: Any) -> None:
        assert options["mergeable_ranks"] == {b"a": 0}

    def encode_ordinary(self, text: str) -> list[int]:
        return [*text.encode()]

    def decode_with_offsets(self, tokens: list[int]) -> tuple[str, list[int]]:
        text = bytes(tokens).decode()
        return text, [at for at, each in enumerate(text) for _ in each.encode()]


@pytest.fixture(autouse=True)
def _estimate_afterwards() -> Iterator[None]:
    yield
    use_token_counts("estimate")


@pytest.fixture
def small_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = base64.b64encode(b"a") + b" 0\n"
    folder = tmp_path / "dashscope"
    (folder / "resources").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('only its folder is needed')")
    (folder / "resources" / "qwen.tiktoken").write_bytes(data)
    tiktoken = ModuleType("tiktoken")
    tiktoken.Encoding = ByteEncoding  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tiktoken", tiktoken)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(vocabulary, "SHA256", hashlib.sha256(data).hexdigest())


@pytest.mark.usefixtures("small_vocabulary")
def test_the_vocabulary_counts_if_it_is_asked_for() -> None:
    assert count_tokens("Hello, 你好") == 3
    assert token_counts_in_force() == "estimate"
    use_token_counts("vendor")
    assert token_counts_in_force() == "vendor"
    assert count_tokens("Hello, 你好") == 13
    assert count_tokens("a" * 250_000) == 250_000
    assert count_output_tokens(message_script("counted by bytes"))[0] == 16
    assert [*token_ends("aé你")] == [1, 1, 2, 2, 2, 3]
    assert first_tokens("aé你", 3) == "aé"
    assert first_tokens("你好", 2) == ""
    use_token_counts("estimate")
    assert count_tokens("Hello, 你好") == 3


@pytest.mark.usefixtures("small_vocabulary")
def test_another_vocabulary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "SHA256", "0" * 64)
    with pytest.raises(ConfigurationError, match="has another vocabulary"):
        use_token_counts("vendor")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(MissingPackage, match=r"tiktoken is not installed: pip install .*\[tokenizer\]"):
        use_token_counts("vendor")


PROGRAM = """
import httpx
from mockserver import ConfigurationError, MockServer
from mockserver.replies import vocabulary

vocabulary.load_vocabulary = lambda: vocabulary.Vocabulary(len, lambda text: iter(range(1, len(text) + 1)))
for choice in ("vendor", "vendor", None):
    with MockServer(**{} if choice is None else {"token_counts": choice}) as server, server.httpx() as client:
        server.reply("Hello!")
        body = {"model": server.model, "input": "Hi"}
        print(client.post("/responses", json=body).json()["usage"]["output_tokens"])
        print(client.get(httpx.URL(server.base_url).join("/health")).json()["token_counts"])
try:
    MockServer(token_counts="estimate")
except ConfigurationError as error:
    print(error)
"""


def test_all_servers_of_a_process_count_alike() -> None:
    done = run_program([sys.executable, "-c", PROGRAM])
    assert done.stdout.splitlines() == [
        *("6", "vendor") * 3,
        "token_counts='estimate': this process has counted by 'vendor' already; set it for the first server",
    ], done.stderr
