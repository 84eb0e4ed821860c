"""Recordings of OpenAI's own service are valid under the profile `openai`: no false findings.

They are the cassettes of langchain-openai's tests; `make test` unpacks its source archive.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest
import yaml

from mockserver.contract.check import check_request, check_response, check_stream
from mockserver.contract.files import check_file
from mockserver.contract.findings import Finding, Severity, errors
from tests.acceptance.conftest import ENVIRONMENTS

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

PROFILE = "openai"


class RecordedCall(NamedTuple):
    """One request and its reply, as they crossed the wire."""

    cassette: str
    request: bytes
    body: bytes

    @property
    def is_stream(self) -> bool:
        return self.body.startswith(b"event: ")


@cache
def recordings() -> tuple[RecordedCall, ...]:
    """All Responses API replies among the cassettes; skips the test if they are missing."""
    folders = [*(ENVIRONMENTS / "openai-recordings").glob("*/tests/cassettes")]
    if not folders:
        pytest.skip("there is no .environments/openai-recordings: `make environments` builds it")
    return tuple(
        each for path in sorted(folders[0].glob("*.yaml.gz")) for each in _read_cassette(path.name, path)
    )


def _read_cassette(name: str, path: Any) -> Iterator[RecordedCall]:
    cassette = yaml.load(gzip.decompress(path.read_bytes()), Loader=yaml.CSafeLoader)
    for request, response in zip(cassette["requests"], cassette["responses"], strict=True):
        request_body, body = _decode_body(request["body"]), _decode_body(response["body"]["string"])
        if response["status"]["code"] == 200 and (
            b'"object":"response"' in body or b'"object": "response"' in body
        ):
            yield RecordedCall(name, request_body, body)


def _decode_body(body: Any) -> bytes:
    data = body.encode() if isinstance(body, str) else body or b""
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def check_call(each: RecordedCall) -> list[Finding]:
    check = check_stream if each.is_stream else check_response
    return check(each.body, PROFILE, each.request)


def test_responses_have_only_info_findings() -> None:
    known = recordings()
    assert sum(each.is_stream for each in known) > 100
    assert sum(not each.is_stream for each in known) > 40
    for each in known:
        milder = [found for found in check_call(each) if found.severity is not Severity.INFO]
        assert not milder, (each.cassette, [str(found) for found in milder])


def test_requests_have_no_errors() -> None:
    for each in recordings():
        assert not errors(check_request(each.request, PROFILE)), each.cassette


def test_kind_and_profile_are_detected() -> None:
    for each in recordings():
        verdict = check_file(each.body)
        assert verdict.kind == ("stream" if each.is_stream else "response"), each.cassette
        assert verdict.profile == PROFILE, (each.cassette, verdict.profile_reason)


def test_a_damaged_recording_is_found() -> None:
    """The counterpart: without an event, or with a changed delta, each stream has an error."""
    for each in recordings():
        if each.is_stream:
            frames = each.body.split(b"\n\n")
            assert errors(check_stream(b"\n\n".join(frames[:3] + frames[4:]), PROFILE)), each.cassette
            assert errors(check_stream(each.body[: len(each.body) // 2], PROFILE)), each.cassette
