"""Parsing exchange files, and the errors with file and JSON Pointer."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from mockserver.errors import InvalidExchange
from mockserver.exchange_files import load_exchange_folder
from mockserver.exchanges import packaged_exchanges, parse_exchange, recorded_chunks

VALID_EXCHANGE: dict[str, Any] = {"format": 1, "name": "a", "match": {"prompt": "hi"}, "reply": {"body": {}}}


def exchange_bytes(**changes: Any) -> bytes:
    return json.dumps({**VALID_EXCHANGE, **changes}).encode()


def test_a_valid_exchange_is_parsed() -> None:
    exchange = parse_exchange(exchange_bytes(), "a.json")
    assert (exchange.name, exchange.match.prompt, exchange.reply) == ("a", "hi", {"body": {}})


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"format": 2}, "/format"),
        ({"name": "../../etc/passwd"}, "/name"),
        ({"name": ""}, "/name"),
        ({"match": {"prompt": 1}}, "/match/prompt"),
        ({"match": {"regex": ".*"}}, "/match"),
        ({"reply": {}}, "/reply"),
        ({"reply": {"body": 1, "error": {"status": 400, "code": "a", "message": "b"}}}, "/reply"),
        ({"reply": {"error": {"status": 200, "code": "a", "message": "b"}}}, "/reply/error/status"),
        ({"reply": {"script": {"items": [{"type": "message"}]}}}, "/reply/script/items/0"),
        ({"reply": {"script": {"items": [{"text": "x"}]}}}, "/reply/script/items/0"),
        (
            {"reply": {"http": {"status": 200, "chunks": [{"text": "a", "base64": "YQ=="}]}}},
            "/reply/http/chunks/0",
        ),
        (
            {"reply": {"http": {"status": 200, "chunks": [], "headers": {"a": "b\r\nc: d"}}}},
            "/reply/http/headers/a",
        ),
        ({"shown": {"kind": "response", "trimmed": True, "body": {}}}, "/shown"),
        ({"extra": 1}, ""),
        ({"times": 0}, "/times"),
        ({"times": "never"}, "/times"),
        ({"scenario": "../x"}, "/scenario"),
        ({"reply": {"error": {"name": "internal-error", "status": 500}}}, "/reply/error"),
    ],
)
def test_an_invalid_exchange_is_reported_with_file_and_pointer(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidExchange) as caught:
        parse_exchange(exchange_bytes(**changes), "bad.json")
    assert caught.value.file == "bad.json"
    assert caught.value.pointer == pointer


def test_a_file_that_is_not_json_is_an_invalid_exchange() -> None:
    with pytest.raises(InvalidExchange, match=r"bad\.json: not JSON"):
        parse_exchange(b"{", "bad.json")


def test_names_are_unique_within_a_folder(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(exchange_bytes())
    (tmp_path / "2.json").write_bytes(exchange_bytes(name="b"))
    assert [exchange.name for exchange in load_exchange_folder(tmp_path)] == ["a", "b"]
    (tmp_path / "3.json").write_bytes(exchange_bytes())
    with pytest.raises(InvalidExchange, match=r"3\.json#/name"):
        load_exchange_folder(tmp_path)


def test_recorded_chunks_are_text_or_base64() -> None:
    encoded = base64.b64encode(b"\xff").decode()
    http = {"status": 200, "chunks": [{"text": "é"}, {"at_ms": 1500, "base64": encoded}]}
    assert list(recorded_chunks(http)) == [(0.0, "é".encode()), (1.5, b"\xff")]


def test_every_packaged_exchange_names_its_source() -> None:
    exchanges = packaged_exchanges("qwen-2026-01")
    assert len(exchanges) == 7
    for exchange in exchanges:
        assert "27 January 2026" in exchange.source
        assert exchange.profile == "qwen-2026-01"
        assert exchange.request is not None
        trimmed = exchange.shown is not None and exchange.shown.trimmed
        assert not trimmed or (exchange.shown and exchange.shown.reason)
