"""One example for each rule that breaks this rule and no other; used in the docs and in tests."""

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

__all__ = ["RuleExample", "load_rule_examples"]


@dataclass(frozen=True, slots=True)
class RuleExample:
    """A request, response, error or stream that breaks a rule, from `schemas/examples/<rule>.json`."""

    rule: str
    kind: str
    """What to check it as; "auto" if the rule is about detection."""
    data: bytes
    """Its bytes in a file: one event a line, or frames if the rule is about framing."""
    request: Any = None
    """The request it answers, if the rule needs it."""
    profile: str = DEFAULT_PROFILE

    @property
    def description(self) -> str:
        """What it is: "stream", for example."""
        if self.kind == AUTO:
            return "file"
        return f"{self.kind} that answers {self.request}" if self.request else self.kind

    @property
    def lines(self) -> list[str]:
        """The example as text, with one event or block on each line."""
        text = self.data[: 1 << 16].decode(errors="backslashreplace")
        blocks = text.split("\n\n") if "data:" in text[:200] else text.splitlines()
        return [" ⏎ ".join(block.split("\n")) for block in blocks if block]

    def check(self) -> list[Finding]:
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
def load_rule_examples() -> Mapping[str, RuleExample]:
    """The examples by rule id."""
    files = resources.json_files("schemas", "examples")
    return MappingProxyType({name: _parse_example(json.loads(data)) for name, data in files})


def _parse_example(content: dict[str, Any]) -> RuleExample:
    if "text" in content:
        filler = content.get("filler", {"text": "", "count": 0})
        data = content["text"].encode() + filler["text"].encode() * filler["count"]
    elif "latin1" in content:  # bytes that are not UTF-8
        data = content["latin1"].encode("latin-1")
    elif isinstance(content["value"], list):
        data = b"".join(json.dumps(event) + b"\n" for event in content["value"])
    else:
        data = json.dumps(content["value"]) + b"\n"
    profile = content.get("profile", DEFAULT_PROFILE)
    return RuleExample(content["rule"], content["kind"], data, content.get("request"), profile)
