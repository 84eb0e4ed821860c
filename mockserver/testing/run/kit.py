"""What a run keeps while its tests talk to servers: the servers, and the watch over the test that runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mockserver.errors import StartError
from mockserver.testing.clients import Clients
from mockserver.testing.mock import MockServer
from mockserver.testing.run.options import is_live, skip_live
from mockserver.testing.run.policy import Policy, policy_of, run_settings, settings_of
from mockserver.testing.run.transcript import transcript
from mockserver.testing.run.verdicts import Watch, broken_contract
from mockserver.testing.serving import Served, Settings, checked, serve_mock

if TYPE_CHECKING:
    from mockserver.server.journal import Journal
    from mockserver.testing.run.live import LivePlan

__all__ = ["Kit", "Outcome"]


class Shared(MockServer):
    """The server of `responses_server`: one object in all tests, whichever server is behind it."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._clients = Clients()

    def show(self, served: Served) -> None:
        """Be this server from now on."""
        self._served = served

    def close_clients(self) -> None:
        self._clients.close()


class Live(Shared):
    """The live endpoint in the mock server's place: whatever would script it skips the test."""

    @property
    def journal(self) -> Journal:
        self._served.settle()
        return super().journal

    @property
    def clock(self) -> NoReturn:
        skip_live("it moves the server's clock")

    def reply(self, *said: Any, **about: Any) -> NoReturn:
        skip_live("it scripts a reply")

    def when(self, *said: Any, **about: Any) -> NoReturn:
        skip_live("it scripts a reply")

    def fail(self, name: str, **options: Any) -> NoReturn:
        skip_live("it scripts an error")

    def fault(self, name: str, **options: Any) -> NoReturn:
        skip_live("it scripts a fault")

    def scenario(self, name: str) -> NoReturn:
        skip_live("it scripts a scenario")

    def session(self, name: str, **otherwise: Any) -> NoReturn:
        skip_live("it opens a session of the server")

    def violate(self, rule: str, **options: Any) -> NoReturn:
        skip_live("it breaks a rule on purpose")

    def reset(self) -> NoReturn:
        skip_live("it resets the server")


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
        self.error: BaseException | None = None
        """The verdict, where it is what the test fails with."""


class Kit:
    """The servers of a run, each started when a test first needs it."""

    def __init__(self, config: pytest.Config, given: Mapping[str, Any]) -> None:
        self.settings = run_settings(config, given)
        self._live = _live_plan(config) if is_live(config) else None
        self.server: Shared | None = None
        self._pool: list[tuple[Settings, Served]] = []
        self._extra: list[Extra] = []
        self._own = self.settings
        """Settings of the test that runs."""
        self._policy = Policy()
        self._watch = Watch(self._policy)

    def open(self) -> MockServer:
        """The server of `responses_server`."""
        served = self._serving(self._own)
        self.server = Shared(served) if self._live is None else Live(served)
        self._attach(served, fresh=True)
        return self.server

    def begin(self, item: pytest.Item) -> None:
        """Make everything as new for a test, and watch what its clients ask."""
        self._policy = policy_of(item)
        self._watch = Watch(self._policy)
        self._own = settings_of(item, self.settings) if self._live is None else self.settings
        if self.server is None:
            return
        named = "responses_server" in getattr(item, "fixturenames", ())
        current = self._serving(self._own)
        self.server.show(current)
        for _, served in self._pool:
            self._attach(served, fresh=named and served is current)

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
        served = serve_mock(settings) if self._live is None else _serve_live(self._live)
        served.start()
        self._pool.append((settings, served))
        return served

    def _attach(self, served: Served, *, fresh: bool = False, strict: bool | None = None) -> None:
        """Put a server under the watch; `fresh` resets it even if nobody asked it anything."""
        session = served.session
        session.journal.leaving = None
        asked = len(session.journal) or len(session.stubs) or len(served.sessions) > 1
        if served.alive and (fresh or asked):
            served.reset()
        session.strict = self._policy.strict if strict is None else strict
        session.journal.leaving = self._watch.note

    @property
    def _all(self) -> list[Served]:
        return [*(served for _, served in self._pool), *(extra.served for extra in self._extra)]

    # The end of a test.

    def end(self, *, passed: bool) -> Outcome:
        """Judge what is left to judge; the outcome has an error where the test passed and must not."""
        watch = self._watch
        self._gather(passed=passed)
        outcome = Outcome(self._data(), self._section())
        broken = watch.since(0)
        died = [served.died for served in self._all if served.died is not None]
        if passed and died:
            outcome.error = StartError(f"the mock server died during the test: {died[0]}")
        elif passed and broken:
            outcome.error = broken_contract(broken)
        return outcome

    def _gather(self, *, passed: bool) -> None:
        """Judge what is in the journals, once, and what was planned, where the test got to its end."""
        for served in self._all:
            served.settle()
        watched = [
            session
            for served in self._all
            if served.session.journal.leaving is not None
            for session in served.sessions
        ]
        for session in watched:
            session.journal.leaving = None
            for entry in session.journal:
                self._watch.note(entry)
        if passed:
            self._watch.note_unused(stub for session in watched for stub in session.stubs.owing)

    def _section(self) -> str:
        parts = [transcript(session) for served in self._all for session in served.sessions]
        parts += [f"the mock server died: {served.died}" for served in self._all if served.died is not None]
        return "\n\n".join(part for part in parts if part)

    def _data(self) -> dict[str, Any]:
        watch = self._watch
        if not watch.requests and not watch.unused:
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
        for served in self._all:
            served.reset()  # what came before the first example is judged now, and told at the end
            served.session.journal.leaving = self._watch.note
        return self._watch.mark()

    def _end_example(self, mark: int, *, passed: bool) -> None:
        __tracebackhide__ = True
        # The journals are left as they are: the last example's is what the report shows.
        self._gather(passed=passed)
        broken = self._watch.since(mark)
        if passed and broken:
            raise broken_contract(broken)


# What a run against the mock need not load.


def _live_plan(config: pytest.Config) -> LivePlan | None:
    from mockserver.testing.run.live import live_plan

    return live_plan(config)


def _serve_live(plan: LivePlan) -> Served:
    from mockserver.testing.run.live import serve_live

    return serve_live(plan)
