"""The errors of the service by name: each as it really comes, from a header and from code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mockserver.contract.check import check_error, check_response, check_stream
from mockserver.contract.findings import errors
from mockserver.errors import ConfigurationError
from mockserver.server.access import ApiKeys
from mockserver.server.app import App
from mockserver.server.endpoint import Services
from mockserver.server.faults import Fault, load_faults
from mockserver.server.sessions import open_session
from mockserver.server.threaded import ThreadedServer
from mockserver.testing.mock import MockServer
from tests.asking import Asker

FAULTS = list(load_faults().values())


def body(asker: Asker, stream: bool) -> dict[str, Any]:
    return {"model": asker.server.model, "input": "x", "stream": stream}


def as_it_comes(reply: httpx.Response, fault: Fault, profile: str, stream: bool) -> None:
    """What a fault has to look like, by its row of the catalogue, and that the judge takes it."""
    form = fault.in_band(stream=stream)
    if form is None:
        assert reply.status_code == fault.status
        assert errors(check_error(reply.content, profile, reply.status_code)) == []
        told = reply.json()
        if fault.form == "flat":
            assert (told["code"], told["message"]) == (fault.code, fault.message)
        elif fault.form == "wrapped":
            inner = {"message": fault.message, "type": fault.type, "param": None, "code": fault.code}
            assert told == {"error": inner, "request_id": reply.headers["x-request-id"]}
        else:
            assert told == {"error": {"message": fault.message, "type": fault.type}}
        return
    assert reply.status_code == 200
    code = (fault.stream_code if stream else None) or fault.code
    if not stream:
        assert errors(check_response(reply.content, profile)) == []
        response = reply.json()
    else:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert {each.rule for each in check_stream(reply.content, profile)} <= {"SEQ-014", "SSE-011"}
        data = json.loads(reply.text.partition("data:")[2])
        if form == "payload":
            assert data == {
                "code": code, "message": fault.message, "request_id": reply.headers["x-request-id"],
            }  # fmt: skip
            return
        assert (data["type"], data["sequence_number"]) == ("response.failed", 0)
        response = data["response"]
    assert response["error"] == {"code": code, "message": fault.message}
    assert (response["status"], response["model"], response["output"]) == ("failed", "", [])
    assert "usage" not in response


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_by_header_and_from_code(later: Asker, fault: Fault, stream: bool) -> None:
    by_header = later.post(body(later, stream), x_mock_fault=fault.name)
    as_it_comes(by_header, fault, later.server.profile, stream)
    assert by_header.headers["x-mock-fault"] == fault.name
    later.server.fail(fault.name)
    from_code = later.post(body(later, stream))
    as_it_comes(from_code, fault, later.server.profile, stream)
    assert later.post(body(later, stream)).status_code == 200


def test_january_has_them_as_well(asker: Asker) -> None:
    for name in ("rate-limit", "content-filter", "internal-error"):
        for stream in (False, True):
            reply = asker.post(body(asker, stream), x_mock_fault=name)
            as_it_comes(reply, load_faults()[name], "qwen-2026-01", stream)
            assert reply.headers["x-mock-fault"] == name


def test_the_catalogue_says_where_each_is_from() -> None:
    assert len(FAULTS) > 80
    for fault in FAULTS:
        assert len(fault.source) > 10
        assert fault.form in ("flat", "wrapped", "bare", "failed")
        assert fault.stream in (None, "failed", "payload")
    assert {400, 401, 403, 404, 409, 429, 500, 503} <= {fault.status for fault in FAULTS}


def test_an_unknown_name_is_told(later: Asker) -> None:
    status, code, message = later.refused(body(later, False), x_mock_fault="no-such")
    assert (status, code) == (400, "InvalidParameter")
    assert message.startswith("x-mock-fault: no fault 'no-such'; there are: rate-limit, ")
    with pytest.raises(ConfigurationError, match="no fault 'no-such'; there are: rate-limit"):
        later.server.fail("no-such")


def test_faults_wait_in_line_with_replies(later: Asker) -> None:
    later.server.reply("One.")
    later.server.fail("internal-error")
    later.server.reply("Two.")
    assert [later.post(body(later, False)).status_code for _ in range(3)] == [200, 500, 200]


def test_other_operations_have_faults_too(later: Asker) -> None:
    response_id = later.ask("hi")["id"]
    for method, path in (
        ("GET", f"/responses/{response_id}"),
        ("GET", "/models"),
        ("POST", "/conversations"),
    ):
        reply = later.call(method, path, x_mock_fault="throttling")
        assert (reply.status_code, reply.json()["code"]) == (429, "Throttling")
        # A response that failed is no answer to these: its refusal is.
        assert later.call(method, path, x_mock_fault="rate-limit").status_code == 400


def test_what_is_asked_beside_a_fault_is_not_looked_at(later: Asker) -> None:
    for content in (b"{", b"", b"[]", b'{"stream": true}'):
        assert later.post(content, x_mock_fault="rate-limit").status_code == 200
    assert later.post(b"{", x_mock_fault="rate-limit", authorization="Bearer wrong").status_code == 401


@pytest.fixture
def plain() -> Iterator[str]:
    """The base URL of a server that was not told to listen to such headers."""
    session = open_session(profile="qwen-2026-09", seed=1)
    server = ThreadedServer(App(Services(default_session=session, keys=ApiKeys())))
    server.start()
    yield server.url + session.profile.base_path
    server.stop()


def test_the_header_is_honoured_only_where_it_is_allowed(plain: str) -> None:
    reply = httpx.post(
        f"{plain}/responses",
        json={"model": "qwen3-max", "input": "x"},
        headers={"authorization": "Bearer x", "x-mock-fault": "internal-error"},
        trust_env=False,
    )
    assert reply.status_code == 200
    assert "x-mock-fault" not in reply.headers


REFUSED = [
    ({"model": "no-such"}, "payload"),
    ({"tools": [{"type": "web_extractor"}]}, "failed"),
    ({"temperature": 2}, "failed"),
    ({"previous_response_id": "resp_nobody"}, "failed"),
    ({"conversation": "conv_nobody"}, "failed"),
]


@pytest.mark.parametrize(("members", "form"), REFUSED)
def test_streams_are_refused_in_band_where_it_is_wanted(members: dict[str, Any], form: str) -> None:
    with (
        MockServer(profile="qwen-2026-09", stream_errors="inband", strict=False) as server,
        httpx.Client(trust_env=False) as client,
    ):
        asker = Asker(server, client)
        asked = {**body(asker, True), **members}
        plain = asker.post({**asked, "stream": False})
        reply = asker.post(asked)
        entry = server.journal.last
    assert plain.status_code == 400
    assert reply.status_code == 200
    assert {each.rule for each in check_stream(reply.content, "qwen-2026-09")} <= {"SEQ-014", "SSE-011"}
    data = json.loads(reply.text.partition("data:")[2])
    error = data["response"]["error"] if form == "failed" else data
    assert (error["code"], error["message"]) == ("InvalidParameter", plain.json()["message"])
    assert entry.detail


def test_a_setting_that_can_not_be_is_told() -> None:
    with pytest.raises(ConfigurationError, match="MockServer: stream_errors is http or inband, not 'loud'"):
        MockServer(stream_errors="loud")
    with pytest.raises(ConfigurationError, match="function_arguments is deltas or whole, not 'half'"):
        MockServer(function_arguments="half")
