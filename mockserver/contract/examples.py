"""An example for each rule that breaks it, and no other: what explains the rules, and what tests them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from mockserver import resources
from mockserver.contract.chat.check import check_chat_completion, check_chat_request, check_chat_stream
from mockserver.contract.check import check_error, check_request, check_response, check_stream
from mockserver.contract.files import AUTO, check_file
from mockserver.contract.findings import Finding
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.wire import json

__all__ = ["Example", "load_examples"]


@dataclass(frozen=True, slots=True)
class Example:
    """One broken request, response, error or stream; its files are `schemas/examples/<rule>.json`."""

    rule: str
    kind: str
    """What it is judged as; "auto" where that is what it breaks."""
    data: bytes
    """As it would be in a file: events one a line, or framed where the rule is about frames."""
    request: Any = None
    """What it answers, where the rule is about that."""
    profile: str = DEFAULT_PROFILE

    def findings(self) -> list[Finding]:
        """What the judge says of it."""
        if self.kind == "request":
            return check_request(self.data, self.profile)
        if self.kind == "error":
            return check_error(self.data, self.profile)
        if self.kind == "chat_request":
            return check_chat_request(self.data, self.profile)
        if self.kind.startswith("chat_"):
            chat = check_chat_stream if self.kind == "chat_stream" else check_chat_completion
            return chat(self.data, self.request)
        if self.kind == AUTO:
            return list(check_file(self.data, self.profile).findings)
        check = check_stream if self.kind == "stream" else check_response
        return check(self.data, self.profile, self.request)


@cache
def load_examples() -> Mapping[str, Example]:
    """The examples by rule."""
    files = resources.json_files("schemas", "examples")
    return MappingProxyType({name: _example(json.loads(data)) for name, data in files})


def _example(about: dict[str, Any]) -> Example:
    if "text" in about:
        filler = about.get("filler", {"text": "", "count": 0})
        data = about["text"].encode() + filler["text"].encode() * filler["count"]
    elif "latin1" in about:  # bytes that are not UTF-8
        data = about["latin1"].encode("latin-1")
    elif isinstance(about["value"], list):
        data = b"".join(json.dumps(event) + b"\n" for event in about["value"])
    else:
        data = json.dumps(about["value"]) + b"\n"
    profile = about.get("profile", DEFAULT_PROFILE)
    return Example(about["rule"], about["kind"], data, about.get("request"), profile)
