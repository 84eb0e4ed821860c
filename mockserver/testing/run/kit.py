"""What a run keeps while its tests talk to servers: the servers, and the watch over the test that runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mockserver.clock import SteppedClock
from mockserver.errors import StartError
from mockserver.testing.clients import Clients
from mockserver.testing.mock import MockServer, MockSession
from mockserver.testing.run.options import is_live, report_file, skip_live
from mockserver.testing.run.policy import Policy, policy_of, run_settings, settings_of
from mockserver.testing.run.taping import Taping
from mockserver.testing.run.transcript import transcript
from mockserver.testing.run.verdicts import Watch, broken_contract
from mockserver.testing.serving import Served, Settings, checked, serve_mock

if TYPE_CHECKING:
    from mockserver.live.relay import Relay
    from mockserver.server.state.journal import Entry, Journal
    from mockserver.server.state.sessions import Session
    from mockserver.testing.planning import Planned, Scenario, When
    from mockserver.testing.run.gallery import Kept
    from mockserver.testing.run.live import LivePlan

__all__ = ["Kit", "Outcome"]


class Shared(MockServer):
    """The server of `responses_server`: one object in all tests, whichever server is behind it.

    Where an endpoint or a recording is, there is no mock that could be scripted: `bar` ends the test then.
    """

    def __init__(self, served: Served) -> None:
        self._served = served
        self._clients = Clients()
        self._bar: Callable[[str], NoReturn] | None = None

    def show(self, served: Served, bar: Callable[[str], NoReturn] | None) -> None:
        """Be this server from now on."""
        self._served = served
        self._bar = bar

    def close_clients(self) -> None:
        self._clients.close()

    def _require_mock(self, what: str) -> None:
        if self._bar is not None:
            self._bar(what)

    @property
    def journal(self) -> Journal:
        self._served.settle()
        return super().journal

    @property
    def clock(self) -> SteppedClock:
        self._require_mock("it moves the server's clock")
        return super().clock

    def reply(self, *said: Any, **about: Any) -> Planned:
        self._require_mock("it scripts a reply")
        return super().reply(*said, **about)

    def when(self, *said: Any, **about: Any) -> When:
        self._require_mock("it scripts a reply")
        return super().when(*said, **about)

    def fail(self, name: str, /, **options: Any) -> Planned:
        self._require_mock("it scripts an error")
        return super().fail(name, **options)

    def fault(self, name: str, /, **options: Any) -> Planned:
        self._require_mock("it scripts a fault")
        return super().fault(name, **options)

    def scenario(self, name: str) -> Scenario:
        self._require_mock("it scripts a scenario")
        return super().scenario(name)

    def session(self, name: str, **otherwise: Any) -> MockSession:
        self._require_mock("it opens a session of the server")
        return super().session(name, **otherwise)

    def violate(self, rule: str, /, **options: Any) -> Planned:
        self._require_mock("it breaks a rule on purpose")
        return super().violate(rule, **options)

    def reset(self) -> None:
        self._require_mock("it resets the server")
        super().reset()


class Extra(MockServer):
    """A server of one test alone."""

    @property
    def served(self) -> Served:
        return self._served


class Outcome:
    """What a test came to, for its report."""

    def __init__(self, data: dict[str, Any], section: str) -> None:
        self.data = data
        self.section = section
        self.shown: list[str] = []
        """Its exchanges, where a page is asked for."""
        self.error: BaseException | None = None
        """The verdict, where it is what the test fails with."""


class Kit:
    """The servers of a run, each started when a test first needs it."""

    def __init__(self, config: pytest.Config, given: Mapping[str, Any]) -> None:
        self.settings = run_settings(config, given)
        self._live = _live_plan(config) if is_live(config) else None
        self._relay: Relay | None = None
        self._taping = Taping(config, self._live)
        self.server: Shared | None = None
        self._pool: list[tuple[Settings, Served]] = []
        self._extra: list[Extra] = []
        self._own = self.settings
        self._test = ""
        """Settings of the test that runs."""
        self._policy = Policy()
        self._watch = Watch(self._policy)
        self._kept = _kept(config)

    def open(self) -> MockServer:
        """The server of `responses_server`."""
        served = self._current()
        self.server = Shared(served)
        self.server.show(served, self._bar)
        self._attach(served, fresh=True)
        return self.server

    def begin(self, item: pytest.Item) -> None:
        """Make everything as new for a test, and watch what its clients ask."""
        self._policy = policy_of(item)
        self._test = item.nodeid
        self._watch = Watch(self._policy)
        self._own = settings_of(item, self.settings) if self._live is None else self.settings
        self._taping.begin(item)
        if self.server is None:
            return
        named = "responses_server" in getattr(item, "fixturenames", ())
        current = self._current()
        self.server.show(current, self._bar)
        for served in self._shared:
            self._attach(served, fresh=named and served is current)

    def _current(self) -> Served:
        """The server that answers the test that runs: one that plays its recordings, where it has some."""
        played = self._taping.playing()
        current = played or self._serving(self._own)
        if self._relay is not None:
            self._relay.listener = self._relay.player = self._taping.tape
        return current

    @property
    def _bar(self) -> Callable[[str], NoReturn] | None:
        if self._taping.is_playing:
            return self._taping.bar
        return None if self._live is None else skip_live

    def require_tape(self) -> None:
        """Fail the test that runs where its recordings can not be had."""
        __tracebackhide__ = True
        if self._taping.trouble:
            pytest.fail(self._taping.trouble, pytrace=False)

    def make(self, **settings: Any) -> MockServer:
        """One more server, for the test that runs."""
        if self._live is not None:
            skip_live("it starts a mock server of its own")
        strict = settings.pop("strict", self._policy.strict)
        own = checked({**self._own, "port": 0, **settings}, "make_responses_server")
        extra = Extra(strict=strict, **own)
        extra.start()
        self._extra.append(extra)
        self._attach(extra.served, strict=strict)
        return extra

    def dismiss(self) -> None:
        """Stop the servers of the test that ran."""
        while self._extra:
            self._extra.pop().stop()

    def finish(self) -> None:
        """Close the clients of the test that ran."""
        if self.server is not None:
            self.server.close_clients()

    def stop(self) -> None:
        """Stop every server."""
        self.finish()
        self.dismiss()
        self._taping.stop()
        while self._pool:
            self._pool.pop()[1].stop()

    def _serving(self, settings: Settings) -> Served:
        """A server with these settings: the one there is, else a new one."""
        port = settings.get("port", 0)
        for known, served in [*self._pool]:
            if not served.alive or (port and known != settings and known.get("port") == port):
                self._pool.remove((known, served))
                served.stop()
        for known, served in self._pool:
            if known == settings:
                return served
        if self._live is None:
            served = serve_mock(settings)
        else:
            served, self._relay = _serve_live(self._live)
        served.start()
        self._pool.append((settings, served))
        return served

    def _attach(self, served: Served, *, fresh: bool = False, strict: bool | None = None) -> None:
        """Put a server under the watch; `fresh` resets it even if nobody asked it anything."""
        session = served.session
        session.journal.on_removed = None
        asked = len(session.journal) or len(session.stubs) or len(served.sessions) > 1
        if served.alive and (fresh or asked):
            served.reset()
        session.strict = self._policy.strict if strict is None else strict
        session.journal.on_removed = self._noting(session)

    def _noting(self, session: Session) -> Callable[[Entry], None]:
        """What is told each request to a session."""
        note, kept = self._watch.note, self._kept
        if kept is None:
            return note

        def note_and_keep(entry: Entry) -> None:
            kept.add(session.profile.name, entry)
            note(entry)

        return note_and_keep

    @property
    def _shared(self) -> list[Served]:
        return [*(served for _, served in self._pool), *self._taping.served]

    @property
    def _all(self) -> list[Served]:
        return [*self._shared, *(extra.served for extra in self._extra)]

    # The end of a test.

    def end(self, *, passed: bool) -> Outcome:
        """Judge what is left to judge; the outcome has an error where the test passed and must not."""
        watch = self._watch
        self._gather(passed=passed)
        recorded = self._taping.end(watch, passed=passed)
        outcome = Outcome({**self._data(), **recorded.data}, self._section(recorded.told))
        if self._kept is not None:
            outcome.shown = self._kept.texts(self._test, self._policy.allow)
        broken = watch.since(0)
        died = [served.died for served in self._all if served.died is not None]
        if passed and died:
            outcome.error = StartError(f"the mock server died during the test: {died[0]}")
        elif passed and broken:
            outcome.error = broken_contract(broken)
        elif passed and recorded.trouble:
            outcome.error = StartError(recorded.trouble)
        return outcome

    def _gather(self, *, passed: bool) -> None:
        """Judge what is in the journals, once, and what was planned, where the test got to its end."""
        for served in self._all:
            served.settle()
        watched = [
            session
            for served in self._all
            if served.session.journal.on_removed is not None
            for session in served.sessions
        ]
        for session in watched:
            session.journal.on_removed = None
            note = self._noting(session)
            for entry in session.journal:
                note(entry)
        if passed:
            self._watch.note_unused(stub for session in watched for stub in session.stubs.pending)

    def _section(self, told: str) -> str:
        parts = [told] if told else []
        parts += [transcript(session) for served in self._all for session in served.sessions]
        parts += [f"the mock server died: {served.died}" for served in self._all if served.died is not None]
        return "\n\n".join(part for part in parts if part)

    def _data(self) -> dict[str, Any]:
        watch = self._watch
        if not watch.requests and not watch.unused and self._taping.tape is None:
            return {}
        sessions = [each for served in self._all for each in served.sessions if len(each.journal)]
        return {
            "profiles": sorted({session.profile.name for session in sessions}),
            "requests": watch.requests,
            "unused": watch.unused,
            "ignored": dict(sorted(watch.ignored.items())) if watch.policy.ignored != "off" else {},
            "findings": watch.findings(),
        }

    # Examples of a property.

    @contextmanager
    def examples(self, item: pytest.Item) -> Iterator[None]:
        """While a property runs, reset before and judge behind each of its examples.

        An example that breaks the contract fails like any other, so Hypothesis shrinks it.
        """
        handle = getattr(getattr(item, "obj", None), "hypothesis", None)
        inner = getattr(handle, "inner_test", None)
        if handle is None or inner is None:
            yield
            return
        handle.inner_test = self._one_by_one(inner)
        try:
            yield
        finally:
            handle.inner_test = inner

    def _one_by_one(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(inner):

            @functools.wraps(inner)
            async def example(*arguments: Any, **named: Any) -> Any:
                __tracebackhide__ = True
                mark, passed = self._begin_example(), False
                try:
                    result = await inner(*arguments, **named)
                    passed = True
                finally:
                    self._end_example(mark, passed=passed)
                return result

        else:

            @functools.wraps(inner)
            def example(*arguments: Any, **named: Any) -> Any:
                __tracebackhide__ = True
                mark, passed = self._begin_example(), False
                try:
                    result = inner(*arguments, **named)
                    passed = True
                finally:
                    self._end_example(mark, passed=passed)
                return result

        return example

    def _begin_example(self) -> int:
        self._taping.again()
        for served in self._all:
            served.reset()  # what came before the first example is judged now, and told at the end
            served.session.journal.on_removed = self._noting(served.session)
        return self._watch.mark()

    def _end_example(self, mark: int, *, passed: bool) -> None:
        __tracebackhide__ = True
        # The journals are left as they are: the last example's is what the report shows.
        self._gather(passed=passed)
        broken = self._watch.since(mark)
        if passed and broken:
            raise broken_contract(broken)


# What most runs need not load.


def _kept(config: pytest.Config) -> Kept | None:
    if report_file(config, "html") is None:
        return None
    from mockserver.testing.run.gallery import Kept

    return Kept()


def _live_plan(config: pytest.Config) -> LivePlan | None:
    from mockserver.testing.run.live import live_plan

    return live_plan(config)


def _serve_live(plan: LivePlan) -> tuple[Served, Relay]:
    from mockserver.testing.run.live import serve_live

    return serve_live(plan)
