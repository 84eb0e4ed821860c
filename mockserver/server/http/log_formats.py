"""The formats of `serve --log-format json` and `serve --verbose`. Both write no keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mockserver.server.http.access_log import format_lines
from mockserver.server.journal_entries import findings_for_entry
from mockserver.server.state.journal import Entry
from mockserver.wire import json
from mockserver.wire.redaction import redact, redact_body
from mockserver.wire.terminal import escape_unprintable

__all__ = ["format_json", "format_verbose"]

#: Characters of a body that `--verbose` prints.
_MAX_BODY = 4000


def format_json(records: Sequence[Entry | str], now: float, worker: int | None = None) -> list[str]:
    """A JSON object in one line for each record, for log collectors."""
    return [_json_line(each, now, worker) for each in records]


def _json_line(record: Entry | str, now: float, worker: int | None) -> str:
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    origin = {"time": time} if worker is None else {"time": time, "worker": worker}
    if isinstance(record, str):
        return json.dumps({**origin, "message": record}).decode()
    secrets = record.secrets
    entry: dict[str, Any] = {
        **origin,
        "session": record.session,
        "method": record.method,
        "path": record.path,
        "status": record.status,
        "stream": record.stream,
        "events": len(record.reply) if record.stream else None,
        "model": redact(record.model, secrets),
        "prompt": redact(record.unmasked_prompt, secrets),
        "stub": record.exchange,
        "findings": [
            {
                "rule": each.rule,
                "severity": each.severity.value,
                "pointer": each.pointer,
                "message": each.message,
            }
            for each in findings_for_entry(record)
        ],
        "ignored": [redact(each, secrets) for each in record.ignored],
        "detail": record.detail,
        "request_id": record.request_id,
    }
    return json.dumps(entry).decode()


def format_verbose(records: Sequence[Entry | str], now: float) -> list[str]:
    """The usual lines, and below each the findings and both bodies."""
    return [_verbose_text(each, line) for each, line in zip(records, format_lines(records, now), strict=True)]


def _verbose_text(record: Entry | str, line: str) -> str:
    lines = [line]
    if not isinstance(record, str):
        lines += [f"  {each}" for each in map(str, findings_for_entry(record))]
        lines += _body_lines("request", record, record.body)
        lines += _body_lines("reply", record, b"".join(record.reply))
    return "\n".join(lines)


def _body_lines(name: str, entry: Entry, body: bytes) -> list[str]:
    text = redact_body(body.decode(errors="replace"), entry.secrets)
    if not text:
        return [f"  {name}: no body"]
    cut = f"  … {len(text) - _MAX_BODY:,} characters more" if len(text) > _MAX_BODY else ""
    lines = [f"    {escape_unprintable(line)}" for line in text[:_MAX_BODY].splitlines() if line]
    return [f"  {name}:", *lines, *([cut] if cut else [])]
