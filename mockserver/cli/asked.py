"""What a command asked the mock, judged as it came: counted whole, however much it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass

from mockserver.cli.judged import Judged
from mockserver.cli.reports import Format
from mockserver.contract.files import CheckResult
from mockserver.contract.findings import Finding, Severity
from mockserver.contract.formatting import escape_unprintable
from mockserver.server.http.access_log import AccessLog
from mockserver.server.state.journal import Entry
from mockserver.wire.redaction import redact

__all__ = ["Asked", "Tally"]

#: Ways to break the contract that are told apart; whatever comes beyond is counted with the last.
_MAX_KINDS = 1_000


#: Longest body, in bytes, that is kept to be shown.
_MAX_BODY = 100_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked in all."""

    requests: int
    judged: tuple[Judged, ...]
    """The requests that something was found in, each way once; one without findings where nothing was."""
    refused: tuple[tuple[str, int], ...]
    """What was refused for another reason ("POST /v1/chat/completions 404"), and how often."""

    def breaks(self, failing: Container[Severity]) -> bool:
        """Whether there is a finding of these severities."""
        return any(finding.severity in failing for each in self.judged for finding in each.findings)

    def text(self, form: Format, failing: Sequence[Severity]) -> str:
        """The report for people."""
        found = [each for each in self.judged if each.findings]
        lines = [f"mockserver: {_counted(self.requests, found)}"]
        if not self.requests:
            lines[0] += ": does the command read OPENAI_BASE_URL?"
        lines += [f"  refused: {escape_unprintable(what)}{_times(count)}" for what, count in self.refused]
        return "".join(f"{line}\n" for line in lines) + (form(found, failing) if found else "")


def _counted(requests: int, found: Sequence[Judged]) -> str:
    if not requests:
        return "no request came"
    told = f"{requests} request{'s' if requests > 1 else ''} judged"
    if not found:
        return f"{told}, nothing found"
    broken = sum(not each.valid for each in found)
    return f"{told}, the contract is broken in {broken} way{'s' if broken > 1 else ''}" if broken else told


def _times(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""


class Tally(AccessLog):
    """Takes a log's place: looks at each request when it is answered, and keeps what is to be told."""

    def __init__(self, profile: str, ignored: Collection[str] = ()) -> None:
        super().__init__(None)
        self._profile = profile
        self._ignored = frozenset(ignored)
        self._requests = 0
        self._found: dict[tuple[object, ...], tuple[str, tuple[Finding, ...], bytes]] = {}
        self._counts: Counter[tuple[object, ...]] = Counter()
        self._refused: Counter[str] = Counter()

    def note(self, entry: Entry | str) -> None:
        """Judge an entry; a line of the server's own is of no interest."""
        if isinstance(entry, str) or entry.path in _OWN:
            return
        self._requests += 1
        findings = tuple(each for each in entry.findings if each.rule not in self._ignored)
        if not findings:
            if entry.status >= 400 and len(self._refused) < _MAX_KINDS:
                self._refused[f"{entry.method} {entry.path} {entry.status} {entry.detail}".strip()] += 1
            return
        kind: tuple[object, ...] = (
            entry.path,
            *((each.rule, each.pointer, each.message) for each in findings),
        )
        if kind not in self._found and len(self._found) >= _MAX_KINDS:
            kind = list(self._found)[-1]
        self._counts[kind] += 1
        if kind not in self._found:
            name = f"request {self._requests}, {entry.method} {entry.path}"
            self._found[kind] = name, findings, _kept(entry)

    def asked(self) -> Asked:
        """What came so far."""
        judged = [
            self._judged(name + _more(self._counts[kind]), found, data)
            for kind, (name, found, data) in self._found.items()
        ]
        if not judged and self._requests:
            judged = [self._judged(f"{self._requests} requests", ())]
        return Asked(self._requests, tuple(judged), tuple(self._refused.most_common()))

    def _judged(self, name: str, findings: tuple[Finding, ...], data: bytes = b"") -> Judged:
        return Judged(
            name, CheckResult("request", self._profile, "the server's own", findings), findings, data
        )


#: Paths of the mock's own, which tell nothing of the contract.
_OWN = frozenset({"/health", "/openapi.json"})


def _kept(entry: Entry) -> bytes:
    """The request's body for reports that show it, without keys; nothing where it is too long to be kept."""
    body = entry.body if len(entry.body) <= _MAX_BODY else b""
    return redact(body.decode(errors="replace"), entry.secrets).encode()


def _more(count: int) -> str:
    return f" (and {count - 1} like it)" if count > 1 else ""
