"""Fuzzing of commands: each case is one run of a client, whatever it is written in.

The command gets, as variables, what to ask and where; it has to send a request, and to end in time. Exit
status 0 means "I understood".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mockserver.contract.formatting import escape_unprintable
from mockserver.testing.cases.door import Door
from mockserver.testing.cases.plan import Plan
from mockserver.testing.cases.verdicts import Outcome
from mockserver.testing.children import Children, Ended, client_environment
from mockserver.wire.redaction import redact

__all__ = ["INPUT", "CommandPlay"]

#: What a client is to ask.
INPUT = "Say something."

#: Lines of a client's standard error that are shown.
_TAIL = 5


@dataclass(frozen=True, slots=True)
class CommandPlay:
    """Plays a case by running a command."""

    command: Sequence[str]
    door: Door
    children: Children
    timeout: float
    """Seconds that a command may take."""
    with_text: bool = False
    """Whether its standard output is to be the answer's text."""
    model: str = ""

    def __call__(self, plan: Plan, seconds: float | None = None) -> Outcome:
        """Run the command once; ConfigurationError where it can not be started."""
        limit = self.timeout if seconds is None else min(seconds, self.timeout)
        with self.door.play(plan) as case:
            environment = client_environment(
                case.base_url,
                self.door.key,
                MOCKSERVER_MODEL=self.model or self.door.look.profile.models[0],
                MOCKSERVER_INPUT=INPUT,
                MOCKSERVER_STREAM=str(int(plan.stream)),
                MOCKSERVER_CASE=plan.id,
                MOCKSERVER_TIMEOUT=f"{self.timeout:g}",
            )
            ended = self.children.run(self.command, environment, limit)
            received = tuple(case.received)
        return Outcome(
            received,
            ended=ended.status is not None,
            accepted=ended.status == 0,
            text=_printed(plan, ended) if self.with_text else None,
            how=_how(ended),
            said=redact(
                "\n".join(ended.stderr.decode(errors="replace").splitlines()[-_TAIL:]), [self.door.key]
            ),
            seconds=ended.seconds,
        )


def _printed(plan: Plan, ended: Ended) -> str:
    """Standard output without the line break that ends it, where the text itself has none there."""
    text = ended.stdout.decode(errors="replace")
    return text if text == plan.text else text.removesuffix("\n")


def _how(ended: Ended) -> str:
    if ended.status is None:
        return f"killed after {ended.seconds:.1f} s"
    if ended.status < 0:
        return f"ended by signal {-ended.status}"
    return escape_unprintable(f"exit status {ended.status}")
