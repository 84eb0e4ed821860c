"""Fuzzing of commands: each case is one run of a client, whatever it is written in.

The command gets, as variables, what to ask and where; it has to send a request, and to end in time. Exit
status 0 means "I understood".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mockserver.contract.formatting import escape_unprintable
from mockserver.testing.client_processes import ClientProcesses, ProcessResult, client_environment
from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.case_server import CaseServer
from mockserver.testing.fuzzing.outcomes import Outcome
from mockserver.wire.redaction import redact

__all__ = ["CLIENT_PROMPT", "CommandRunner"]

#: What a client is to ask.
CLIENT_PROMPT = "Say something."

#: Lines of a client's standard error that are shown.
_STDERR_LINES = 5


@dataclass(frozen=True, slots=True)
class CommandRunner:
    """Plays a case by running a command."""

    command: Sequence[str]
    server: CaseServer
    processes: ClientProcesses
    timeout: float
    """Seconds that a command may take."""
    checks_text: bool = False
    """Whether its standard output is to be the answer's text."""
    model: str = ""

    def __call__(self, plan: CasePlan, time_limit: float | None = None) -> Outcome:
        """Run the command once; ConfigurationError where it can not be started."""
        limit = self.timeout if time_limit is None else min(time_limit, self.timeout)
        with self.server.open_case(plan) as case:
            environment = client_environment(
                case.base_url,
                self.server.api_key,
                MOCKSERVER_MODEL=self.model or self.server.context.profile.models[0],
                MOCKSERVER_INPUT=CLIENT_PROMPT,
                MOCKSERVER_STREAM=str(int(plan.stream)),
                MOCKSERVER_CASE=plan.id,
                MOCKSERVER_TIMEOUT=f"{self.timeout:g}",
            )
            ended = self.processes.run(self.command, environment, limit)
            received = tuple(case.requests)
        return Outcome(
            received,
            finished=ended.exit_status is not None,
            accepted=ended.exit_status == 0,
            text=_printed_text(plan, ended) if self.checks_text else None,
            end_reason=_end_reason(ended),
            stderr_tail=redact(
                "\n".join(ended.stderr.decode(errors="replace").splitlines()[-_STDERR_LINES:]),
                [self.server.api_key],
            ),
            duration=ended.duration,
        )


def _printed_text(plan: CasePlan, ended: ProcessResult) -> str:
    """Standard output without the line break that ends it, where the text itself has none there."""
    text = ended.stdout.decode(errors="replace")
    return text if text == plan.expected_text else text.removesuffix("\n")


def _end_reason(ended: ProcessResult) -> str:
    if ended.exit_status is None:
        return f"killed after {ended.duration:.1f} s"
    if ended.exit_status < 0:
        return f"ended by signal {-ended.exit_status}"
    return escape_unprintable(f"exit status {ended.exit_status}")
