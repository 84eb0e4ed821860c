"""The rules of the contract as data, and `Report`, which collects findings by them."""

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
    """What is true of a stream, body or request that keeps the rule."""
    reason: str
    """The impact of a breach: which clients fail, and how."""
    source: str
    """Document and date that the rule comes from, or "inferred"."""
    profiles: tuple[str, ...]
    """Patterns of the profiles it applies to: "*" is all, "qwen-*" that family. "qwen-chat" stands for Chat
    Completions, which has one contract for all profiles."""
    severity_in: Mapping[str, Severity] = field(default_factory=dict)
    """Profiles in which the severity is another."""

    def applies_to(self, profile: str) -> bool:
        """Whether the rule applies to the profile of that name."""
        return any(fnmatch(profile, each) for each in self.profiles)

    def severity_for(self, profile: str) -> Severity:
        """The severity of a breach in the profile of that name."""
        return self.severity_in.get(profile, self.severity)


@cache
def load_rules() -> Mapping[str, Rule]:
    """All rules about bytes on the wire, by id, in the order of their file."""
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
                "severity_in": {
                    name: Severity(severity) for name, severity in each.get("severity_in", {}).items()
                },
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
    """Make a finding with the general severity of `rule`; long values are truncated."""
    severity = load_rules()[rule].severity
    return Finding(rule, severity, pointer, event, message, truncate_value(expected), truncate_value(got))


def findings_for_profile(findings: Iterable[Finding], profile: str) -> list[Finding]:
    """Keep the findings whose rules apply to a profile, with their severities there."""
    severities = _profile_severities(profile)
    return [
        each if each.severity is severities[each.rule] else replace(each, severity=severities[each.rule])
        for each in findings
        if each.rule in severities
    ]


@cache
def _profile_severities(profile: str) -> Mapping[str, Severity]:
    """The rules that apply to a profile, with their severities there."""
    rules = [rule for rule in load_rules().values() if rule.applies_to(profile)]
    return MappingProxyType({rule.id: rule.severity_for(profile) for rule in rules})


class Report:
    """Collects findings about one event or body, by the rules of one profile."""

    __slots__ = ("_severities", "event", "findings")

    def __init__(self, profile: str, event: int | None = None) -> None:
        self._severities = _profile_severities(profile)
        self.event = event
        """Index of the event that added findings are about."""
        self.findings: list[Finding] = []

    def add(self, rule: str, pointer: str, message: str, *, expected: Any = None, got: Any = None) -> None:
        """Add a finding about the current event, unless the rule does not apply to the profile."""
        severity = self._severities.get(rule)
        if severity is not None:
            expected, got = truncate_value(expected), truncate_value(got)
            self.findings.append(Finding(rule, severity, pointer, self.event, message, expected, got))

    def applies(self, rule: str) -> bool:
        """Whether `rule` applies to the profile."""
        return rule in self._severities
