"""What a command asked the mock, judged as it came: counted whole, however much it is."""

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

#: Ways to break the contract that are told apart; whatever comes beyond is counted with the last.
_MAX_DISTINCT_FINDINGS = 1_000


#: Longest body, in bytes, that is kept to be shown.
_MAX_BODY_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """What was asked in all."""

    request_count: int
    inputs: tuple[CheckedInput, ...]
    """The requests that something was found in, each way once; one without findings where nothing was."""
    refusals: tuple[tuple[str, int], ...]
    """What was refused for another reason ("POST /v1/chat/completions 404"), and how often."""

    def has_findings(self, severities: Container[Severity]) -> bool:
        """Whether there is a finding of these severities."""
        return any(finding.severity in severities for each in self.inputs for finding in each.findings)

    def to_text(self, write: ReportWriter, failing: Sequence[Severity]) -> str:
        """The report for people."""
        found = [each for each in self.inputs if each.findings]
        lines = [f"mockserver: {_headline(self.request_count, found)}"]
        if not self.request_count:
            lines[0] += ": does the command read OPENAI_BASE_URL?"
        lines += [
            f"  refused: {escape_unprintable(what)}{_repeat_suffix(count)}" for what, count in self.refusals
        ]
        return "".join(f"{line}\n" for line in lines) + (write(found, failing) if found else "")


def _headline(request_count: int, inputs: Sequence[CheckedInput]) -> str:
    if not request_count:
        return "no request came"
    told = f"{request_count} request{'s' if request_count > 1 else ''} judged"
    if not inputs:
        return f"{told}, nothing found"
    broken = sum(not each.is_valid for each in inputs)
    return f"{told}, the contract is broken in {broken} way{'s' if broken > 1 else ''}" if broken else told


def _repeat_suffix(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""


class RequestCollector(AccessLog):
    """Takes a log's place: looks at each request when it is answered, and keeps what is to be told."""

    def __init__(self, profile: str, ignored_rules: Collection[str] = ()) -> None:
        super().__init__(None)
        self._profile = profile
        self._ignored_rules = frozenset(ignored_rules)
        self._request_count = 0
        self._distinct: dict[tuple[object, ...], tuple[str, tuple[Finding, ...], bytes]] = {}
        self._distinct_counts: Counter[tuple[object, ...]] = Counter()
        self._refusal_counts: Counter[str] = Counter()

    def add(self, entry: Entry | str) -> None:
        """Judge an entry; a line of the server's own is of no interest."""
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
        """What came so far."""
        judged = [
            self._checked_input(name + _similar_suffix(self._distinct_counts[kind]), found, data)
            for kind, (name, found, data) in self._distinct.items()
        ]
        if not judged and self._request_count:
            judged = [self._checked_input(f"{self._request_count} requests", ())]
        return RequestSummary(self._request_count, tuple(judged), tuple(self._refusal_counts.most_common()))

    def _checked_input(self, name: str, findings: tuple[Finding, ...], content: bytes = b"") -> CheckedInput:
        return CheckedInput(
            name, CheckResult("request", self._profile, "the server's own", findings), findings, content
        )


#: Paths of the mock's own, which tell nothing of the contract.
_INTERNAL_PATHS = frozenset({"/health", "/openapi.json"})


def _redacted_body(entry: Entry) -> bytes:
    """The request's body for reports that show it, without keys; nothing where it is too long to be kept."""
    body = entry.body if len(entry.body) <= _MAX_BODY_BYTES else b""
    return redact(body.decode(errors="replace"), entry.secrets).encode()


def _similar_suffix(count: int) -> str:
    return f" (and {count - 1} like it)" if count > 1 else ""
