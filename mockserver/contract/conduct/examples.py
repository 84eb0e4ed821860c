"""One example for each rule about conduct: attempts that break this rule and no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from mockserver import resources
from mockserver.contract.conduct.attempts import Attempt
from mockserver.contract.conduct.check import check_conduct
from mockserver.contract.findings import NumberedFinding
from mockserver.wire import json

__all__ = ["ConductExample", "load_conduct_examples"]


@dataclass(frozen=True, slots=True)
class ConductExample:
    """The requests of a client that breaks a rule, from `schemas/conduct_examples.json`."""

    rule: str
    attempts: tuple[Attempt, ...]

    @property
    def lines(self) -> list[str]:
        """The example as text, with one attempt on each line."""
        return list(map(_attempt_line, self.attempts))

    def check(self) -> list[NumberedFinding]:
        return check_conduct(self.attempts)


@cache
def load_conduct_examples() -> Mapping[str, ConductExample]:
    """The examples by rule id."""
    file = resources.data_folder("schemas") / "conduct_examples.json"
    listed = json.loads(file.read_bytes())
    return MappingProxyType(
        {
            rule: ConductExample(
                rule, tuple(_parse_attempt(n, each) for n, each in enumerate(attempts, start=1))
            )
            for rule, attempts in listed.items()
        }
    )


def _parse_attempt(number: int, content: Mapping[str, Any]) -> Attempt:
    return Attempt(
        number,
        content["at"],
        "/v1/responses",
        json.dumps(content["body"]),
        content["status"],
        json.dumps(content["reply"]) if "reply" in content else b"",
        content.get("end", content["at"]),
        reply_headers=content.get("headers", {}),
        stopped_at=content.get("stopped_at"),
    )


def _attempt_line(attempt: Attempt) -> str:
    headers = "".join(f" {name}: {value}" for name, value in attempt.reply_headers.items())
    stopped = "" if attempt.stopped_at is None else f", told to stop at {attempt.stopped_at:g} s"
    end = ", not ended" if attempt.end is None else ""
    end = f", ended at {attempt.end:g} s" if attempt.end not in (None, attempt.at) else end
    body, reply = attempt.body.decode(), attempt.reply.decode()
    answer = f"{attempt.status}{headers}{f' {reply}' if reply else ''}"
    return f"{attempt.number:2}. at {attempt.at:g} s {body} -> {answer}{stopped}{end}"
