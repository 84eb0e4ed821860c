"""The requests of a command that `mockserver run` runs: collected, checked and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass

from mockserver.cli.output.checked_input import CheckedInput
from mockserver.cli.output.report_formats import ReportWriter
from mockserver.contract.files import CheckResult
from mockserver.contract.findings import Finding, Severity
from mockserver.contract.formatting import escape_unprintable
from mockserver.server.http.access_log import AccessLog
from mockserver.server.state.journal import Entry
from mockserver.wire.redaction import redact

__all__ = ["RequestCollector", "RequestSummary"]

#: Distinct sets of findings to keep; further ones are counted with the last.
_MAX_DISTINCT_FINDINGS = 1_000
#: Longest body, in bytes, to keep for reports.
_MAX_BODY_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """All requests of a run."""

    request_count: int
    inputs: tuple[CheckedInput, ...]
    """One request for each distinct set of findings; one input without findings if there are none."""
    refusals: tuple[tuple[str, int], ...]
    """Requests refused for other reasons ("POST /v1/chat/completions 404"), with their counts."""

    def has_findings(self, severities: Container[Severity]) -> bool:
        """Whether there is a finding of one of these severities."""
        return any(finding.severity in severities for each in self.inputs for finding in each.findings)

    def to_text(self, write: ReportWriter, failing: Sequence[Severity]) -> str:
        """The text report."""
        failing_inputs = [each for each in self.inputs if each.findings]
        lines = [f"mockserver: {_headline(self.request_count, failing_inputs)}"]
        if not self.request_count:
            lines[0] += ": does the command read OPENAI_BASE_URL?"
        lines += [
            f"  refused: {escape_unprintable(line)}{_repeat_suffix(count)}" for line, count in self.refusals
        ]
        findings_text = write(failing_inputs, failing) if failing_inputs else ""
        return "".join(f"{line}\n" for line in lines) + findings_text


def _headline(request_count: int, inputs: Sequence[CheckedInput]) -> str:
    if not request_count:
        return "no requests received"
    text = f"{request_count} request{'s' if request_count > 1 else ''} checked"
    if not inputs:
        return f"{text}, no findings"
    violations = sum(not each.is_valid for each in inputs)
    if not violations:
        return text
    return f"{text}, {violations} distinct contract violation{'s' if violations > 1 else ''}"


def _repeat_suffix(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""


class RequestCollector(AccessLog):
    """An access log that checks each request when it is answered and keeps what the report needs."""

    def __init__(self, profile: str, ignored_rules: Collection[str] = ()) -> None:
        super().__init__(None)
        self._profile = profile
        self._ignored_rules = frozenset(ignored_rules)
        self._request_count = 0
        self._distinct: dict[tuple[object, ...], tuple[str, tuple[Finding, ...], bytes]] = {}
        self._distinct_counts: Counter[tuple[object, ...]] = Counter()
        self._refusal_counts: Counter[str] = Counter()

    def add(self, entry: Entry | str) -> None:
        """Collect a journal entry; lines of the server's own log are ignored."""
        if isinstance(entry, str) or entry.path in _INTERNAL_PATHS:
            return
        self._request_count += 1
        findings = tuple(each for each in entry.findings if each.rule not in self._ignored_rules)
        if not findings:
            if entry.status >= 400 and len(self._refusal_counts) < _MAX_DISTINCT_FINDINGS:
                self._refusal_counts[
                    f"{entry.method} {entry.path} {entry.status} {entry.detail}".strip()
                ] += 1
            return
        kind: tuple[object, ...] = (
            entry.path,
            *((each.rule, each.pointer, each.message) for each in findings),
        )
        if kind not in self._distinct and len(self._distinct) >= _MAX_DISTINCT_FINDINGS:
            kind = list(self._distinct)[-1]
        self._distinct_counts[kind] += 1
        if kind not in self._distinct:
            name = f"request {self._request_count}, {entry.method} {entry.path}"
            self._distinct[kind] = name, findings, _redacted_body(entry)

    def summary(self) -> RequestSummary:
        """The requests so far."""
        inputs = [
            self._checked_input(name + _similar_suffix(self._distinct_counts[kind]), findings, data)
            for kind, (name, findings, data) in self._distinct.items()
        ]
        if not inputs and self._request_count:
            inputs = [self._checked_input(f"{self._request_count} requests", ())]
        return RequestSummary(self._request_count, tuple(inputs), tuple(self._refusal_counts.most_common()))

    def _checked_input(self, name: str, findings: tuple[Finding, ...], content: bytes = b"") -> CheckedInput:
        return CheckedInput(
            name, CheckResult("request", self._profile, "the server's own", findings), findings, content
        )


#: The mock's own paths, which are not part of the contract.
_INTERNAL_PATHS = frozenset({"/health", "/openapi.json"})


def _redacted_body(entry: Entry) -> bytes:
    """The request's body for reports, without keys; empty if it is too long."""
    body = entry.body if len(entry.body) <= _MAX_BODY_BYTES else b""
    return redact(body.decode(errors="replace"), entry.secrets).encode()


def _similar_suffix(count: int) -> str:
    return f" (and {count - 1} like it)" if count > 1 else ""
