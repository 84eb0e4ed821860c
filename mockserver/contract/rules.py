"""The rules of the contract as data, and `Report`, which collects findings by them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from types import MappingProxyType
from typing import Any

import orjson

from mockserver import resources
from mockserver.contract.findings import Finding, Severity, truncate_value
from mockserver.named_tuples import NamedTuple

__all__ = [
    "CONDUCT_FAMILIES",
    "FindingLimit",
    "Report",
    "Rule",
    "findings_for_profile",
    "limit_findings",
    "load_all_rules",
    "load_conduct_rules",
    "load_live_rules",
    "load_rules",
    "make_conduct_finding",
    "make_finding",
    "omitted_finding",
]

#: How many findings of a rule to list in a body or stream, at places that differ only in numbers and in all.
_MAX_FINDINGS_AT_A_PLACE = 50
_MAX_FINDINGS_OF_A_RULE = 500

#: How the ids of rules about a client's conduct start.
CONDUCT_FAMILIES = ("RTY-", "ABT-", "CTX-")

_INDEX = r"(?<=/)[0-9]+(?=/|$)"


class Rule(NamedTuple):
    """One rule of `schemas/rules.json`, `live.json` or `conduct.json`."""

    id: str
    """Family and number, "SEQ-003". Families: SSE, SEQ, ITM, TXT, USE, SCH, REQ, CHT;
    LIV of a running endpoint; RTY, ABT and CTX of a client's conduct."""
    title: str
    severity: Severity
    statement: str
    """The sentence that is true of a stream, body or request that keeps the rule."""
    reason: str
    """The impact of a breach: which clients fail, and how."""
    source: str
    """Document and date that the rule comes from, or "inferred"."""
    profiles: tuple[str, ...]
    """Patterns of the profiles it applies to: "*" is all, "qwen-*" that family. "qwen-chat" stands for Chat
    Completions, which has one contract for all profiles."""
    severity_in: Mapping[str, Severity] = MappingProxyType({})
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


@cache
def load_conduct_rules() -> Mapping[str, Rule]:
    """The rules about what a client does over several requests, by id, in the order of their file."""
    return _load_rule_file("conduct.json")


@cache
def load_all_rules() -> Mapping[str, Rule]:
    """Every rule by id."""
    return MappingProxyType({**load_rules(), **load_live_rules(), **load_conduct_rules()})


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


def make_conduct_finding(rule: str, message: str, *, pointer: str = "", got: Any = None) -> Finding:
    """Make a finding of a rule about a client's conduct."""
    severity = load_conduct_rules()[rule].severity
    return Finding(rule, severity, pointer, None, message, got=got)


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


class FindingLimit:
    """Limits the findings in one body or stream, and counts the others.

    Each rule, and each place in a body, has a limit of its own, so that many findings hide no other.
    """

    __slots__ = ("_counts", "_omitted")

    def __init__(self) -> None:
        self._counts: Counter[str | tuple[str, str]] = Counter()
        self._omitted: Counter[tuple[str, Severity]] = Counter()

    def admits(self, rule: str, severity: Severity, pointer: str) -> bool:
        """Whether to list another finding; if not, it is counted."""
        place = (rule, re.sub(_INDEX, "*", pointer))
        counts = self._counts
        if counts[place] < _MAX_FINDINGS_AT_A_PLACE and counts[rule] < _MAX_FINDINGS_OF_A_RULE:
            counts[place] += 1
            counts[rule] += 1
            return True
        self._omitted[rule, severity] += 1
        return False

    def omitted_findings(self) -> list[Finding]:
        """One finding for each rule and severity whose findings are not all listed: "and 40 more"."""
        omitted, self._omitted = self._omitted, Counter()
        return [omitted_finding(rule, severity, count) for (rule, severity), count in omitted.items()]


def omitted_finding(rule: str, severity: Severity, count: int) -> Finding:
    """The finding that stands for others, which are not listed."""
    return Finding(rule, severity, "", None, f"and {count} more findings of this rule", more=count)


def limit_findings(findings: list[Finding]) -> list[Finding]:
    """Keep a limited number of findings, with the number of the others at the end."""
    if len(findings) <= _MAX_FINDINGS_AT_A_PLACE:
        return findings
    limit = FindingLimit()
    listed = [each for each in findings if limit.admits(each.rule, each.severity, each.pointer)]
    return listed + limit.omitted_findings()


class Report:
    """Collects a limited number of findings about a body or the events of a stream, by one profile's rules."""

    __slots__ = ("_limit", "_severities", "event", "findings")

    def __init__(self, profile: str, event: int | None = None) -> None:
        self._severities = _profile_severities(profile)
        self.event = event
        """Index of the event that added findings are about."""
        self.findings: list[Finding] = []
        self._limit = FindingLimit()

    def add(self, rule: str, pointer: str, message: str, *, expected: Any = None, got: Any = None) -> None:
        """Add a finding about the current event, unless the rule does not apply to the profile."""
        severity = self._severities.get(rule)
        if severity is not None and self._limit.admits(rule, severity, pointer):
            expected, got = truncate_value(expected), truncate_value(got)
            self.findings.append(Finding(rule, severity, pointer, self.event, message, expected, got))

    def extend(self, findings: Iterable[Finding]) -> None:
        """Add findings that were made for the profile."""
        admits = self._limit.admits
        self.findings += [each for each in findings if admits(each.rule, each.severity, each.pointer)]

    def omitted_findings(self) -> list[Finding]:
        """What stands for the findings that are not listed, once the body or stream has ended."""
        return self._limit.omitted_findings()

    def applies(self, rule: str) -> bool:
        """Whether `rule` applies to the profile."""
        return rule in self._severities
