"""The requests of a command that `mockserver run` runs: collected, checked and counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass

from mockserver.cli.output.checked_input import CheckedInput
from mockserver.cli.output.report_formats import REPORT_FORMATS, ReportWriter
from mockserver.contract.files import CheckResult
from mockserver.contract.findings import Finding, Severity
from mockserver.network import proxy_note
from mockserver.server.http.access_log import AccessLog
from mockserver.server.journal_entries import REFUSED, exchange_from_entry, findings_for_entry
from mockserver.server.state.journal import Entry
from mockserver.wire.redaction import redact, redact_body
from mockserver.wire.terminal import escape_unprintable

__all__ = ["RequestCollector", "RequestSummary"]

#: Distinct sets of findings to keep; further ones are counted with the last.
_MAX_DISTINCT_FINDINGS = 1_000
#: Longest body, in bytes, to keep for reports.
_MAX_BODY_BYTES = 100_000
#: Exchanges that the HTML report shows: the first ones, and as many more that have findings.
_MAX_SHOWN_EXCHANGES = 250
#: Bytes of bodies that the HTML report shows; later exchanges are left out.
_MAX_SHOWN_BYTES = 32 << 20
#: The mock's own paths, which are not part of the contract.
_INTERNAL_PATHS = frozenset({"/health", "/ready", "/openapi.json"})


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """All requests of a run."""

    request_count: int
    inputs: tuple[CheckedInput, ...]
    """One request for each distinct set of findings; one input without findings if there are none."""
    refused_count: int
    """Requests that are not API requests."""
    errors: tuple[tuple[str, int], ...]
    """Error replies to requests without findings ("POST /v1/responses 429"), with their counts."""
    entries: tuple[tuple[int, Entry], ...] = ()
    """The exchanges that a report shows, with their numbers from 1."""
    intercepts: bool = False
    """Whether requests to the service's own addresses were intercepted."""

    def has_findings(self, severities: Container[Severity]) -> bool:
        """Whether there is a finding of one of these severities."""
        return any(finding.severity in severities for each in self.inputs for finding in each.findings)

    def to_text(self, write: ReportWriter, failing: Sequence[Severity]) -> str:
        """The text report."""
        with_findings = [each for each in self.inputs if each.findings]
        lines = [f"mockserver: {self._headline()}"]
        lines += [
            f"  refused: {escape_unprintable(line)}{f' ({count} times)' if count > 1 else ''}"
            for line, count in self.errors
        ]
        return "".join(f"{line}\n" for line in lines) + (
            write(with_findings, failing) if with_findings else ""
        )

    def to_report(self, report_format: str, failing: Sequence[Severity], profile: str, command: str) -> str:
        """The report in a format of `--report`."""
        if report_format == "html":
            return self.to_html(failing, profile, command)
        return REPORT_FORMATS[report_format](self.inputs, failing)

    def to_html(self, failing: Container[Severity], profile: str, command: str) -> str:
        """The HTML report: each exchange with its request, reply, stream and findings."""
        from mockserver.reports.coverage import coverage_by_profile
        from mockserver.reports.formatting import format_count
        from mockserver.reports.model import ReportPage, report_time
        from mockserver.reports.page import render_page

        exchanges = tuple(exchange_from_entry(entry, number, profile) for number, entry in self.entries)
        failed = sum(any(each.finding.severity in failing for each in one.findings) for one in exchanges)
        facts = [("profile", profile), ("requests", f"{self.request_count:,}")]
        if left_out := self.request_count - len(exchanges):
            facts.append(("left out", format_count(left_out, "exchange")))
        page = ReportPage(
            title="Command run",
            subject=redact(command),
            verdict=f"{failed} of {self.request_count} invalid" if failed else self._headline(),
            passed=bool(self.request_count) and not self.has_findings(failing),
            created_at=report_time(),
            metadata=tuple(facts),
            exchanges=exchanges,
            coverage=coverage_by_profile(exchanges),
        )
        return render_page(page)

    def _headline(self) -> str:
        if not self.request_count:
            if self.intercepts:
                hint = "docs/intercept.md says what each client needs"
                return f"no requests received: does the command read OPENAI_BASE_URL or HTTPS_PROXY? {hint}"
            hint = "a command that calls the service's own https address needs --intercept"
            return (
                f"no requests received: does the command read OPENAI_BASE_URL? {hint}{proxy_note(os.environ)}"
            )
        parts = [f"{self.request_count} request{'s' if self.request_count > 1 else ''} checked"]
        violations = sum(not each.is_valid and not _is_refused(each) for each in self.inputs)
        if violations:
            parts.append(f"{violations} distinct contract violation{'s' if violations > 1 else ''}")
        if self.refused_count:
            parts.append(f"{self.refused_count} refused")
        if not any(each.findings for each in self.inputs):
            parts.append("no findings")
        return ", ".join(parts)


def _is_refused(checked: CheckedInput) -> bool:
    return any(finding.rule == REFUSED for finding in checked.findings)


class RequestCollector(AccessLog):
    """An access log that checks each request when it is answered and keeps what the report needs."""

    def __init__(
        self,
        profile: str,
        ignored_rules: Collection[str] = (),
        *,
        keep_exchanges: bool = False,
        access_log: AccessLog | None = None,
        intercepts: bool = False,
    ) -> None:
        """`access_log` gets every line too."""
        super().__init__(None)
        self._access_log = access_log or AccessLog()
        self._profile = profile
        self._ignored_rules = frozenset(ignored_rules)
        self._keep_exchanges = keep_exchanges
        self._intercepts = intercepts
        self._request_count = 0
        self._refused_count = 0
        self._distinct: dict[tuple[object, ...], tuple[str, tuple[Finding, ...], bytes]] = {}
        self._distinct_counts: Counter[tuple[object, ...]] = Counter()
        self._latest_kinds: dict[Severity, list[tuple[object, ...]]] = {}
        """The keys of `_distinct` by their worst severity."""
        self._error_counts: Counter[str] = Counter()
        self._entries: list[tuple[int, Entry]] = []
        self._extra_entries = 0
        self._shown_bytes = 0

    def add(self, entry: Entry | str) -> None:
        """Collect a journal entry; lines of the server's own log are only passed on."""
        self._access_log.add(entry)
        if isinstance(entry, str) or entry.path in _INTERNAL_PATHS:
            return
        self._request_count += 1
        findings = tuple(each for each in findings_for_entry(entry) if each.rule not in self._ignored_rules)
        self._refused_count += any(each.rule == REFUSED for each in findings)
        if self._keep_exchanges:
            self._keep_entry(entry, has_findings=bool(findings))
        if findings:
            self._count_findings(entry, findings, self._request_count)
        elif entry.status >= 400 and len(self._error_counts) < _MAX_DISTINCT_FINDINGS:
            self._error_counts[f"{entry.method} {entry.path} {entry.status} {entry.detail}".strip()] += 1

    def add_conduct_finding(self, number: int, entry: Entry, finding: Finding) -> None:
        """Add what a request shows together with others; `number` is its own in its session."""
        if finding.rule not in self._ignored_rules:
            self._count_findings(entry, (finding,), number)

    def flush(self) -> None:
        """Write the pending lines of the log."""
        self._access_log.flush()

    def close(self) -> None:
        """Write the pending lines of the log, and close it."""
        self._access_log.close()

    def _count_findings(self, entry: Entry, findings: tuple[Finding, ...], number: int) -> None:
        kind: tuple[object, ...] = (
            entry.path,
            *((each.rule, each.pointer, each.message) for each in findings),
        )
        # Each severity has its own limit, so that an error never counts as one more info.
        worst = min((each.severity for each in findings), key=list(Severity).index)
        latest = self._latest_kinds.setdefault(worst, [])
        if kind not in self._distinct and len(latest) >= _MAX_DISTINCT_FINDINGS:
            kind = latest[-1]
        self._distinct_counts[kind] += 1
        if kind not in self._distinct:
            latest.append(kind)
            name = f"request {number}, {entry.method} {entry.path}"
            self._distinct[kind] = name, findings, _redacted_body(entry)

    def _keep_entry(self, entry: Entry, *, has_findings: bool) -> None:
        size = len(entry.body) + sum(map(len, entry.reply))
        is_extra = len(self._entries) - self._extra_entries >= _MAX_SHOWN_EXCHANGES
        if self._shown_bytes + size > _MAX_SHOWN_BYTES:
            return
        if is_extra and (not has_findings or self._extra_entries >= _MAX_SHOWN_EXCHANGES):
            return
        self._extra_entries += is_extra
        self._shown_bytes += size
        self._entries.append((self._request_count, entry))

    def summary(self) -> RequestSummary:
        """The requests so far."""
        inputs = [
            self._checked_input(name + _similar_suffix(self._distinct_counts[kind]), findings, data)
            for kind, (name, findings, data) in self._distinct.items()
        ]
        if not inputs and self._request_count:
            inputs = [self._checked_input(f"{self._request_count} requests", ())]
        return RequestSummary(
            self._request_count,
            tuple(inputs),
            self._refused_count,
            tuple(self._error_counts.most_common()),
            tuple(self._entries),
            self._intercepts,
        )

    def _checked_input(self, name: str, findings: tuple[Finding, ...], content: bytes = b"") -> CheckedInput:
        return CheckedInput(
            name, CheckResult("request", self._profile, "the server's own", findings), findings, content
        )


def _redacted_body(entry: Entry) -> bytes:
    """The request's body for reports, without keys; empty if it is too long."""
    body = entry.body if len(entry.body) <= _MAX_BODY_BYTES else b""
    return redact_body(body.decode(errors="replace"), entry.secrets).encode()


def _similar_suffix(count: int) -> str:
    return f" (and {count - 1} like it)" if count > 1 else ""
