"""The rules of the contract, as data: what each says, how bad a breach is, and who is hurt by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache
from types import MappingProxyType
from typing import Any

import orjson

from mockserver import resources
from mockserver.contract.findings import Finding, Severity, truncate_value

__all__ = ["Report", "Rule", "findings_for_profile", "load_live_rules", "load_rules", "make_finding"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of `schemas/rules.json`."""

    id: str
    """Family and number, "SEQ-003". Families: SSE, SEQ, ITM, TXT, USE, SCH, REQ, CHT."""
    title: str
    severity: Severity
    statement: str
    """What holds in a stream, body or request that keeps the rule."""
    reason: str
    """Which client fails, and how, where it is broken."""
    source: str
    """Where the rule is from: document and date, or "inferred"."""
    profiles: tuple[str, ...]
    """Names of the profiles it is for; "*" stands for all, "qwen-*" for all of that family,
    "qwen-chat" for Chat Completions, which is no profile and is judged alike in all ages."""
    severity_in: Mapping[str, Severity] = field(default_factory=dict)
    """Profiles in which a breach is milder, or worse, than `severity`."""

    def applies_to(self, profile: str) -> bool:
        """Whether the profile of that name is judged by it."""
        return any(fnmatch(profile, each) for each in self.profiles)


@cache
def load_rules() -> Mapping[str, Rule]:
    """All rules of what crosses the wire by id, in the order of their file."""
    return _load_rule_file("rules.json")


@cache
def load_live_rules() -> Mapping[str, Rule]:
    """The rules that only a running endpoint can keep or break, by id, in the order of their file."""
    return _load_rule_file("live.json")


def _load_rule_file(file: str) -> Mapping[str, Rule]:
    listed = orjson.loads((resources.data_folder("schemas") / file).read_bytes())["rules"]
    rules = (
        Rule(
            **{
                **each,
                "severity": Severity(each["severity"]),
                "profiles": tuple(each["profiles"]),
                "severity_in": {name: Severity(mild) for name, mild in each.get("severity_in", {}).items()},
            }
        )
        for each in listed
    )
    return MappingProxyType({rule.id: rule for rule in rules})


def make_finding(
    rule: str,
    pointer: str,
    message: str,
    *,
    event: int | None = None,
    expected: Any = None,
    got: Any = None,
) -> Finding:
    """A finding by `rule`, with the severity that rule has in general; long values are cut."""
    severity = load_rules()[rule].severity
    return Finding(rule, severity, pointer, event, message, truncate_value(expected), truncate_value(got))


def findings_for_profile(findings: Iterable[Finding], profile: str) -> list[Finding]:
    """The findings that count in a profile, as bad as they are there."""
    severities = _profile_severities(profile)
    return [
        each if each.severity is severities[each.rule] else replace(each, severity=severities[each.rule])
        for each in findings
        if each.rule in severities
    ]


@cache
def _profile_severities(profile: str) -> Mapping[str, Severity]:
    """The rules that a profile is judged by, and how bad a breach of each is there."""
    rules = [rule for rule in load_rules().values() if rule.applies_to(profile)]
    return MappingProxyType({rule.id: rule.severity_in.get(profile, rule.severity) for rule in rules})


class Report:
    """Collects findings about one event or body, by the rules of one profile; `say` adds one."""

    __slots__ = ("_severities", "event", "findings")

    def __init__(self, profile: str, event: int | None = None) -> None:
        self._severities = _profile_severities(profile)
        self.event = event
        """Place of the event that findings are about."""
        self.findings: list[Finding] = []

    def add(self, rule: str, pointer: str, message: str, *, expected: Any = None, got: Any = None) -> None:
        """Add a finding about the present event; nothing where the rule is not for this profile."""
        severity = self._severities.get(rule)
        if severity is not None:
            given, had = truncate_value(expected), truncate_value(got)
            self.findings.append(Finding(rule, severity, pointer, self.event, message, given, had))

    def applies(self, rule: str) -> bool:
        """Whether the profile is judged by `rule`."""
        return rule in self._severities
