"""Operations of the mock's own: they answer in every profile, and are marked where the profile has none."""

from __future__ import annotations

import pytest

from mockserver import MockServer
from mockserver.contract.openapi.document import openapi_document
from mockserver.contract.schema.registry import load_schemas
from mockserver.profiles import load_profile, load_profile_document, profile_names

SERVED = [name for name in profile_names() if load_profile_document(name)["renderings"]]


@pytest.mark.parametrize("profile", SERVED)
def test_the_models_are_listed_in_every_profile(profile: str) -> None:
    is_own = "listModels" not in load_profile(profile).operations
    with MockServer(profile=profile) as server, server.httpx() as client:
        reply = client.get("/models")
        entry = server.journal.last
        server.check()
        refused = client.get("/models", headers={"authorization": "Bearer sk-wrong"})
    assert reply.status_code == 200
    assert load_schemas("qwen-2026-05").is_valid("models", reply.json())
    assert server.model in [each["id"] for each in reply.json()["data"]]
    assert reply.headers.get("x-mock-extension") == ("listModels" if is_own else None)
    assert entry is not None
    assert entry.refusal == ""
    assert refused.status_code == 401
    operation = openapi_document(profile)["paths"]["/models"]["get"]
    assert operation.get("x-mock-extension") is (True if is_own else None)
    assert ("The mock's own" in operation.get("description", "")) is is_own


def test_a_profile_that_the_mock_does_not_serve_has_no_extension() -> None:
    assert "/models" not in openapi_document("openai")["paths"]
