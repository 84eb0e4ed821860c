"""`GET /metrics`: counters and histograms of requests for Prometheus.

An application around the server's measures each request, so a server without `--metrics` does nothing for them. With
PROMETHEUS_MULTIPROC_DIR the numbers of all processes are in that folder, and each of them reports the sum.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from inspect import iscoroutinefunction
from pathlib import Path
from time import monotonic
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mockserver.contract.chat.service import CHAT_PATHS
from mockserver.contract.operations import find_operation
from mockserver.errors import optional_packages
from mockserver.profiles import Profile
from mockserver.server.access import HEALTH_PATHS
from mockserver.server.http.dispatch import run_handler
from mockserver.server.http.requests import HttpRequest
from mockserver.server.http.services import Services
from mockserver.server.http.transmission import ENTRY_SCOPE_KEY, send_body
from mockserver.server.mock_headers import ADMIN_PATH_PREFIX
from mockserver.server.state.journal import FALLBACK, Entry
from mockserver.server.state.session_registry import SESSION_PATH_PREFIX
from mockserver.server.state.sessions import Session
from mockserver.server.state.store import SharedStore, Store

with optional_packages():
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

__all__ = ["METRICS_PATH", "MeasuredApp"]

METRICS_PATH = "/metrics"
#: Variable of prometheus-client: the folder in which the processes of a server keep their numbers.
_SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
#: Upper bounds in seconds, from an immediate reply to a slow stream.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120)
#: Least time between two looks at the journals, in seconds.
_JOURNAL_PERIOD = 1.0
#: Entries that wait for their check; the check of the oldest has failed.
_MAX_UNCHECKED = 1_000


class _Metrics:
    """The metrics of one server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, buckets=_BUCKETS, registry=registry)
        gauge = partial(Gauge, registry=registry, multiprocess_mode="livesum")
        self.requests = counter(
            "mockserver_requests",
            "Requests, by the status of their reply and whether it was a stream.",
            ("operation", "profile", "status", "stream"),
        )
        self.findings = counter("mockserver_findings", "Findings in requests, by rule.", ("rule",))
        self.faults = counter("mockserver_faults", "Injected faults, by name.", ("fault",))
        self.first_byte = histogram(
            "mockserver_time_to_first_byte_seconds",
            "From the head of the request to the first byte of the reply's body.",
            ("operation", "stream"),
        )
        self.duration = histogram(
            "mockserver_request_duration_seconds",
            "From the head of the request to the end of the reply.",
            ("operation", "stream"),
        )
        self.open_streams = gauge("mockserver_open_streams", "Streams that are being sent.")
        self.journal_entries = gauge("mockserver_journal_entries", "Entries in the journals of all sessions.")
        self.journal_bytes = gauge(
            "mockserver_journal_bytes", "Bytes of bodies in the journals of all sessions."
        )
        self.store = histogram(
            "mockserver_store_seconds", "Time of operations of a shared store.", ("operation",)
        )

    def look_at_journals(self, sessions: Iterable[Session]) -> None:
        """Set the size of the journals."""
        journals = [each.journal for each in sessions]
        self.journal_entries.set(sum(map(len, journals)))
        self.journal_bytes.set(sum(each.body_bytes for each in journals))


class _Measurement:
    """The times of one request, taken from what the application sends."""

    def __init__(self, scope: Scope, send: Send, metrics: _Metrics) -> None:
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._started_at = monotonic()
        self.first_byte: float | None = None
        """Seconds until the first byte of the body; None: none was sent."""
        self.duration = 0.0
        """Seconds until the end."""
        self.status = 0
        """The status that was sent; 0: none."""
        self._is_open_stream = False

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if "status" in message:
            self._begin(message)
        if self.first_byte is None and (message.get("body") or message.get("pieces")):
            self.first_byte = monotonic() - self._started_at
        await self._send(message)

    def _begin(self, message: Message) -> None:
        self.status = message["status"]
        entry: Entry | None = self._scope.get(ENTRY_SCOPE_KEY)
        # The fallback has no entry before the end of its reply.
        self._is_open_stream = _is_stream(message) if entry is None else entry.stream
        if self._is_open_stream:
            self._metrics.open_streams.inc()

    def end(self) -> None:
        """Take the time of the end."""
        self.duration = monotonic() - self._started_at
        if self._is_open_stream:
            self._metrics.open_streams.dec()


def _is_stream(message: Message) -> bool:
    content_type = dict(message["headers"]).get(b"content-type", b"")
    return bool(content_type.startswith(b"text/event-stream"))


class _MeasuredStore:
    """Times the operations of a store."""

    def __init__(self, store: Store, seconds: Histogram) -> None:
        self._store = store
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._store, name)
        if not iscoroutinefunction(attribute):
            return attribute

        async def measured(*arguments: Any, **named: Any) -> Any:
            with self._seconds.labels(name).time():
                return await attribute(*arguments, **named)

        return measured


class MeasuredApp:
    """Measures the requests to an application, and answers `GET /metrics`."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._registry = CollectorRegistry()
        self._metrics = _Metrics(self._registry)
        self._journals_seen_at = 0.0
        self._uncounted: list[Entry] = []
        """Journal entries whose findings are not counted yet."""
        if services.store.is_shared:
            measured = cast("SharedStore", _MeasuredStore(services.store, self._metrics.store))
            services.store = services.default_session.shared_store = measured

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == METRICS_PATH and scope["method"] in ("GET", "HEAD"):
            await run_handler(self._send_metrics, self._services, scope, receive, send)
        else:
            await self._measure(scope, receive, send)

    async def _measure(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]  # the application takes the session out of the path
        measurement = _Measurement(scope, send, self._metrics)
        try:
            await self._app(scope, receive, measurement.send)
        finally:
            measurement.end()
            self._record(method, path, scope.get(ENTRY_SCOPE_KEY), measurement)

    def _record(self, method: str, path: str, entry: Entry | None, measurement: _Measurement) -> None:
        metrics = self._metrics
        session = self._session_of(entry)
        operation = _operation_name(session.profile, method, path)
        status = measurement.status if entry is None else entry.status
        stream = "true" if entry is not None and entry.stream else "false"
        metrics.requests.labels(operation, session.profile.name, str(status), stream).inc()
        metrics.duration.labels(operation, stream).observe(measurement.duration)
        if measurement.first_byte is not None:
            metrics.first_byte.labels(operation, stream).observe(measurement.first_byte)
        if entry is not None:
            for fault in entry.fault_names:
                metrics.faults.labels(fault).inc()
            self._uncounted.append(entry)
        self._count_findings()
        now = monotonic()
        if now - self._journals_seen_at >= _JOURNAL_PERIOD:
            self._journals_seen_at = now
            metrics.look_at_journals(self._services.sessions)

    def _count_findings(self) -> None:
        """Count the findings in requests; what the fallback answered is checked after its reply."""
        entries, self._uncounted = self._uncounted[-_MAX_UNCHECKED:], []
        for entry in entries:
            if entry.exchange == FALLBACK and not entry.is_checked:
                self._uncounted.append(entry)
                continue
            for finding in entry.request_findings:
                self._metrics.findings.labels(finding.rule).inc()

    def _session_of(self, entry: Entry | None) -> Session:
        sessions = self._services.sessions
        return (entry and sessions.get(entry.session)) or sessions.default_session

    async def _send_metrics(self, request: HttpRequest) -> None:
        """Send all metrics in the format that the request accepts."""
        self._count_findings()
        self._metrics.look_at_journals(self._services.sessions)
        accept = request.headers.get(b"accept", b"").decode("latin-1")
        encode, content_type = choose_encoder(accept)
        head = [(b"content-type", content_type.encode())]
        await send_body(request.send, 200, head, encode(self._reported_registry()))

    def _reported_registry(self) -> Any:
        folder = os.environ.get(_SHARED_FOLDER)
        if folder is None:
            return self._registry
        _forget_ended_processes(Path(folder))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry


def _forget_ended_processes(folder: Path) -> None:
    """Remove the gauges of processes that have ended, such as their open streams; their counts stay."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:
            continue  # it lives, and is another user's


def _operation_name(profile: Profile, method: str, path: str) -> str:
    """The operation of a request: one of a fixed number of names, whatever the path."""
    if path.startswith(SESSION_PATH_PREFIX):
        path = "/" + path.removeprefix(SESSION_PATH_PREFIX).partition("/")[2]
    if path in profile.create_paths and method == "POST":
        return "createResponse"
    if path in CHAT_PATHS:
        return "createChatCompletion"
    if path in HEALTH_PATHS:
        return "health"
    if path.startswith(ADMIN_PATH_PREFIX):
        return "admin"
    operation = find_operation(profile, method, path)
    return "other" if operation is None else operation.name
