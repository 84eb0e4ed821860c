"""Runs a command as the client of a case.

Environment variables tell the command what to request and where. It must send a request and finish in time;
exit status 0 means that it understood the reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mockserver.testing.client_processes import ClientProcesses, ProcessResult, client_environment
from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.case_server import CaseServer
from mockserver.testing.fuzzing.outcomes import Outcome
from mockserver.wire.redaction import find_credentials, redact
from mockserver.wire.terminal import escape_unprintable

__all__ = ["CLIENT_PROMPT", "CommandRunner"]

#: The prompt that a client should send.
CLIENT_PROMPT = "Say something."

#: Last lines of standard error that are shown.
_STDERR_LINES = 5


@dataclass(frozen=True, slots=True)
class CommandRunner:
    """Plays a case to a command."""

    command: Sequence[str]
    server: CaseServer
    processes: ClientProcesses
    timeout: float
    """Seconds that the command may take."""
    checks_text: bool = False
    """Whether its standard output must be the text of the reply."""
    model: str = ""

    def __call__(self, plan: CasePlan, time_limit: float | None = None) -> Outcome:
        """Run the command once; ConfigurationError if it cannot be started."""
        limit = self.timeout if time_limit is None else min(time_limit, self.timeout)
        with self.server.open_case(plan) as run:
            environment = client_environment(
                run.base_url,
                self.server.api_key,
                MOCKSERVER_MODEL=self.model or self.server.context.profile.models[0],
                MOCKSERVER_INPUT=CLIENT_PROMPT,
                MOCKSERVER_STREAM=str(int(plan.stream)),
                MOCKSERVER_CASE=plan.id,
                MOCKSERVER_TIMEOUT=f"{self.timeout:g}",
            )
            result = self.processes.run(self.command, environment, limit)
            requests, conduct = tuple(run.requests), run.check_conduct()
        return Outcome(
            requests,
            finished=result.exit_status is not None,
            accepted=result.exit_status == 0,
            text=_printed_text(plan, result) if self.checks_text else None,
            end_reason=_end_reason(result),
            stderr_tail=redact(
                "\n".join(result.stderr.decode(errors="replace").splitlines()[-_STDERR_LINES:]),
                [self.server.api_key, *(each for one in requests for each in find_credentials(one.body))],
            ),
            duration=result.duration,
            shown_text=result.stdout.decode(errors="replace"),
            reports_incomplete=b"incomplete" in result.stderr.lower(),
            conduct=conduct,
        )


def _printed_text(plan: CasePlan, result: ProcessResult) -> str:
    """Standard output without its final line break, unless the expected text has one."""
    text = result.stdout.decode(errors="replace")
    return text if text == plan.expected_text else text.removesuffix("\n")


def _end_reason(result: ProcessResult) -> str:
    if result.exit_status is None:
        return f"killed after {result.duration:.1f} s"
    if result.exit_status < 0:
        return f"ended by signal {-result.exit_status}"
    return escape_unprintable(f"exit status {result.exit_status}")
