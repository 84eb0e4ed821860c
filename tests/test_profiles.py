"""Profiles: their facts, sources and names."""

from __future__ import annotations

import pytest

from mockserver.errors import UnknownProfile
from mockserver.profiles import DEFAULT_PROFILE, load_profile, load_profile_document, profile_names


def test_an_unknown_profile_error_lists_the_profiles() -> None:
    with pytest.raises(UnknownProfile, match=DEFAULT_PROFILE):
        load_profile("qwen-1999-12")


@pytest.mark.parametrize("name", profile_names())
def test_every_fact_and_rendering_has_a_source(name: str) -> None:
    document = load_profile_document(name)
    for fact, entry in document["facts"].items():
        assert set(entry) == {"value", "source"}, fact
        assert len(entry["source"]) > 10, fact
    assert all(rendering["source"] for rendering in document["renderings"].values())
    assert document["name"] == name


def test_facts_of_the_january_2026_profile() -> None:
    profile = load_profile("qwen-2026-01")
    assert profile.base_path == "/api/v2/apps/protocols/compatible-mode/v1"
    assert profile.models == ("qwen3-max-2026-01-23",)
    assert list(profile.tools) == ["web_search", "web_extractor", "code_interpreter"]
    assert profile.lifetime_s == 7 * 24 * 3600
