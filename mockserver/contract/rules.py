"""The rules of the contract, as data: what each says, how bad a breach is, and who is hurt by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from types import MappingProxyType
from typing import Any

import orjson

from mockserver import resources
from mockserver.contract.findings import Finding, Severity, shown

__all__ = ["Report", "Rule", "finding", "load_rules"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of `schemas/rules.json`."""

    id: str
    """Family and number, "SEQ-003". Families: SSE, SEQ, ITM, TXT, USE, SCH, REQ."""
    title: str
    severity: Severity
    statement: str
    """What holds in a stream, body or request that keeps the rule."""
    reason: str
    """Which client fails, and how, where it is broken."""
    source: str
    """Where the rule is from: document and date, or "inferred"."""
    profiles: tuple[str, ...]
    """Names of the profiles it is for; "*" stands for all, "qwen-*" for all of that family."""


@cache
def load_rules() -> Mapping[str, Rule]:
    """All rules by id, in the order of their file."""
    listed = orjson.loads((resources.folder("schemas") / "rules.json").read_bytes())["rules"]
    rules = (
        Rule(**{**each, "severity": Severity(each["severity"]), "profiles": tuple(each["profiles"])})
        for each in listed
    )
    return MappingProxyType({rule.id: rule for rule in rules})


def finding(
    rule: str,
    pointer: str,
    message: str,
    *,
    event: int | None = None,
    expected: Any = None,
    got: Any = None,
) -> Finding:
    """A finding by `rule`, with the severity that rule has; long values are cut."""
    severity = load_rules()[rule].severity
    return Finding(rule, severity, pointer, event, message, shown(expected), shown(got))


@cache
def _silent(profile: str) -> frozenset[str]:
    rules = load_rules().values()
    return frozenset(rule.id for rule in rules if not any(fnmatch(profile, each) for each in rule.profiles))


class Report:
    """Collects findings about one event or body, by the rules of one profile; `say` adds one."""

    __slots__ = ("_silent", "event", "found")

    def __init__(self, profile: str, event: int | None = None) -> None:
        self._silent = _silent(profile)
        self.event = event
        """Place of the event that findings are about."""
        self.found: list[Finding] = []

    def say(self, rule: str, pointer: str, message: str, *, expected: Any = None, got: Any = None) -> None:
        """Add a finding about the present event; nothing where the rule is not for this profile."""
        if rule not in self._silent:
            self.found.append(finding(rule, pointer, message, event=self.event, expected=expected, got=got))
