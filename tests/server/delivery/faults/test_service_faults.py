"""Service errors by name, requested by header and from Python."""

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
from mockserver.server.delivery.faults import ServiceFault, load_service_faults
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session
from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient

FAULTS = list(load_service_faults().values())


def body(asker: ApiClient, stream: bool) -> dict[str, Any]:
    return {"model": asker.server.model, "input": "x", "stream": stream}


def assert_service_fault(reply: httpx.Response, fault: ServiceFault, profile: str, stream: bool) -> None:
    """Assert that a reply has the form in the catalogue and satisfies the contract."""
    form = fault.in_band_form(stream=stream)
    if form is None:
        assert reply.status_code == fault.status
        assert errors(check_error(reply.content, profile, reply.status_code)) == []
        reply_body = reply.json()
        if fault.form == "flat":
            assert (reply_body["code"], reply_body["message"]) == (fault.code, fault.message)
        elif fault.form == "wrapped":
            inner = {"message": fault.message, "type": fault.type, "param": None, "code": fault.code}
            assert reply_body == {"error": inner, "request_id": reply.headers["x-request-id"]}
        else:
            assert reply_body == {"error": {"message": fault.message, "type": fault.type}}
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
def test_every_service_fault_by_header_and_from_python(
    later: ApiClient, fault: ServiceFault, stream: bool
) -> None:
    by_header = later.post(body(later, stream), x_mock_fault=fault.name)
    assert_service_fault(by_header, fault, later.server.profile, stream)
    assert by_header.headers["x-mock-fault"] == fault.name
    later.server.fail(fault.name)
    from_code = later.post(body(later, stream))
    assert_service_fault(from_code, fault, later.server.profile, stream)
    assert later.post(body(later, stream)).status_code == 200


def test_the_january_profile_has_service_faults(api: ApiClient) -> None:
    for name in ("rate-limit", "content-filter", "internal-error"):
        for stream in (False, True):
            reply = api.post(body(api, stream), x_mock_fault=name)
            assert_service_fault(reply, load_service_faults()[name], "qwen-2026-01", stream)
            assert reply.headers["x-mock-fault"] == name


def test_every_service_fault_names_its_source() -> None:
    assert len(FAULTS) > 80
    for fault in FAULTS:
        assert len(fault.source) > 10
        assert fault.form in ("flat", "wrapped", "bare", "failed")
        assert fault.stream in (None, "failed", "payload")
    assert {400, 401, 403, 404, 409, 429, 500, 503} <= {fault.status for fault in FAULTS}


def test_an_unknown_fault_is_an_error(later: ApiClient) -> None:
    status, code, message = later.post_refused(body(later, False), x_mock_fault="no-such")
    assert (status, code) == (400, "InvalidParameter")
    assert message.startswith("x-mock-fault: no fault 'no-such'; choose from: rate-limit, ")
    with pytest.raises(ConfigurationError, match="no fault 'no-such'; choose from: rate-limit"):
        later.server.fail("no-such")


def test_faults_and_replies_are_served_in_order(later: ApiClient) -> None:
    later.server.reply("One.")
    later.server.fail("internal-error")
    later.server.reply("Two.")
    assert [later.post(body(later, False)).status_code for _ in range(3)] == [200, 500, 200]


def test_faults_apply_to_other_operations(later: ApiClient) -> None:
    response_id = later.create("hi")["id"]
    for method, path in (
        ("GET", f"/responses/{response_id}"),
        ("GET", "/models"),
        ("POST", "/conversations"),
    ):
        reply = later.request(method, path, x_mock_fault="throttling")
        assert (reply.status_code, reply.json()["code"]) == (429, "Throttling")
        # A response that failed is no answer to these: its refusal is.
        assert later.request(method, path, x_mock_fault="rate-limit").status_code == 400


def test_a_fault_precedes_validation_of_the_body(later: ApiClient) -> None:
    for content in (b"{", b"", b"[]", b'{"stream": true}'):
        assert later.post(content, x_mock_fault="rate-limit").status_code == 200
    assert later.post(b"{", x_mock_fault="rate-limit", authorization="Bearer wrong").status_code == 401


@pytest.fixture
def plain_base_url() -> Iterator[str]:
    """The base URL of a server that does not accept x-mock headers."""
    session = open_session(profile="qwen-2026-09", seed=1)
    server = ThreadedServer(App(Services(default_session=session, keys=ApiKeys())))
    server.start()
    yield server.url + session.profile.base_path
    server.stop()


def test_the_fault_header_is_ignored_unless_allowed(plain_base_url: str) -> None:
    reply = httpx.post(
        f"{plain_base_url}/responses",
        json={"model": "qwen3-max", "input": "x"},
        headers={"authorization": "Bearer x", "x-mock-fault": "internal-error"},
        trust_env=False,
    )
    assert reply.status_code == 200
    assert "x-mock-fault" not in reply.headers


REFUSED = [
    ({"model": "no-such"}, "failed"),
    ({"tools": [{"type": "web_extractor"}]}, "failed"),
    ({"temperature": 2}, "failed"),
    ({"previous_response_id": "resp_nobody"}, "failed"),
    ({"conversation": "conv_nobody"}, "failed"),
]


@pytest.mark.parametrize(("members", "form"), REFUSED)
def test_stream_errors_can_be_in_band(members: dict[str, Any], form: str) -> None:
    with (
        MockServer(profile="qwen-2026-09", stream_errors="inband", strict=False) as server,
        httpx.Client(trust_env=False) as client,
    ):
        asker = ApiClient(server, client)
        request = {**body(asker, True), **members}
        plain_base_url = asker.post({**request, "stream": False})
        reply = asker.post(request)
        entry = server.journal.last
    assert plain_base_url.status_code == 400
    assert reply.status_code == 200
    assert {each.rule for each in check_stream(reply.content, "qwen-2026-09")} <= {"SEQ-014", "SSE-011"}
    data = json.loads(reply.text.partition("data:")[2])
    error = data["response"]["error"] if form == "failed" else data
    assert (error["code"], error["message"]) == ("InvalidParameter", plain_base_url.json()["message"])
    assert entry.detail


def test_an_invalid_setting_is_an_error() -> None:
    with pytest.raises(
        ConfigurationError, match="MockServer: stream_errors must be http or inband, not 'loud'"
    ):
        MockServer(stream_errors="loud")
    with pytest.raises(ConfigurationError, match="function_arguments must be deltas or whole, not 'half'"):
        MockServer(function_arguments="half")
