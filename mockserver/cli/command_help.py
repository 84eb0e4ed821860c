"""Examples and exit statuses of every command, for `--help` and for docs/exit-statuses.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

__all__ = ["EXAMPLES", "EXIT_STATUSES", "epilog"]

_BASE_URL = "https://dashscope-intl.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1"

#: Command lines by command, the usual one first.
EXAMPLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "check": (
            "mockserver check recordings/*.json",
            "curl -isN $OPENAI_BASE_URL/responses -d @request.json | mockserver check -",
            "mockserver check *.sse --format github --report junit=report.xml --fail-on warning",
        ),
        "completion": (
            'eval "$(mockserver completion bash)"',
            'eval "$(mockserver completion zsh)"',
            "mockserver completion fish | source",
        ),
        "diff": (
            "mockserver diff qwen-2026-01 latest",
            "mockserver diff recordings-before recordings-after",
            "mockserver diff june.json july.json --format json",
        ),
        "doctor": ("mockserver doctor", "mockserver doctor --port 9000 --store sqlite:responses.db"),
        "exchanges": (
            "mockserver exchanges check exchanges",
            "mockserver exchanges new request.curl --name weather --out exchanges",
        ),
        "faults": ("mockserver faults", "mockserver faults stall"),
        "fuzz": (
            "mockserver fuzz -- python3 client.py",
            "mockserver fuzz --expect text --jobs 4 -- node client.mjs",
            "mockserver fuzz --replay 4375c091a73f -- python3 client.py",
        ),
        "health": ("mockserver health", "mockserver health --url http://127.0.0.1:9000 --timeout 1"),
        "init": ("mockserver init", "mockserver init services/chat"),
        "record": (
            f"mockserver record --upstream {_BASE_URL} --out recordings",
            f"mockserver record --upstream {_BASE_URL} --out recordings --max-requests 20 --mask /metadata/user",
        ),
        "replay": ("mockserver replay recordings", "mockserver replay recordings --speed realtime --port 0"),
        "rules": ("mockserver rules", "mockserver rules TXT-001", "mockserver rules TXT-001 --example"),
        "run": (
            "mockserver run -- npm test",
            "mockserver run --report html=report.html --ignore REQ-005 -- go test ./...",
            "mockserver run --intercept -- python3 sample.py",
        ),
        "schema": (
            "mockserver schema",
            "mockserver schema exchange",
            "mockserver schema --openapi 3.1 --profile latest",
        ),
        "serve": (
            "mockserver serve",
            "mockserver serve --profile latest --seed 1 --exchanges exchanges",
            "mockserver serve --fault stall:0.1 --pace model:300,50 --console",
        ),
        "verify": (
            f"mockserver verify --base-url {_BASE_URL} --dry-run",
            f"mockserver verify --base-url {_BASE_URL} --prices prices.json --report html=report.html",
            f"mockserver verify --base-url {_BASE_URL} --baseline drift.json --accept",
        ),
    }
)

_UNUSABLE = "an option or an argument cannot be used"

#: Meanings by command and exit status. They are stable: a script may rely on them.
EXIT_STATUSES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "check": {
            "0": "no finding at or above --fail-on",
            "1": "at least one",
            "2": "an argument cannot be used, or a file cannot be read",
        },
        "completion": {"0": "the script is printed", "2": _UNUSABLE},
        "diff": {
            "0": "no change at or above --fail-on",
            "1": "at least one",
            "2": "unusable arguments, or no request is in both recordings",
        },
        "doctor": {"0": "nothing is wrong", "1": "something is wrong", "2": _UNUSABLE},
        "exchanges": {
            "0": "all exchanges can be served; drafts are written",
            "1": "a file cannot be served, or a draft cannot be written",
            "2": "unusable arguments or source",
        },
        "faults": {"0": "printed", "2": "no such fault"},
        "fuzz": {
            "0": "no failing case",
            "1": "a failing case",
            "2": "the command could not be run, or the case to replay was not played",
            "130": "interrupted",
        },
        "health": {"0": "the server is ready", "1": "it is not", "2": _UNUSABLE},
        "init": {"0": "the files exist", "2": "an argument cannot be used, or a file cannot be written"},
        "record": {
            "0": "stopped by a signal",
            "1": "at least one finding at or above --fail-on, or the port is not available",
            "2": _UNUSABLE,
            "3": "incomplete: an exchange could not be written, or, with --fail-on, was not checked",
        },
        "replay": {"0": "stopped by a signal", "1": "the port is not available", "2": _UNUSABLE},
        "rules": {"0": "printed", "2": "no such rule, or it has no example"},
        "run": {
            "0": "the command succeeded, and there is no finding at or above --fail-on",
            "1": "the command succeeded, but there is a finding, or it sent no request",
            "2": _UNUSABLE,
            "126": "the command cannot be started",
            "127": "there is no such command",
            "other": "that of the command; 128 plus the number of the signal that ended it",
        },
        "schema": {"0": "printed", "2": "no such schema or profile"},
        "serve": {
            "0": "stopped by a signal",
            "1": "the port is not available, or the workers keep dying",
            "2": _UNUSABLE,
        },
        "verify": {
            "0": "pass, or only drift that the baseline accepts",
            "1": "fail, or new drift",
            "2": "could not run, or no probe has a verdict",
            "3": "incomplete: the budget, the rate limit or a lost endpoint cut off a part of the plan, "
            "and nothing failed",
        },
    }
)


def epilog(command: str) -> str:
    """The end of a command's help."""
    # The control character tells click to leave the lines of a paragraph as they are.
    return "\n\n".join(
        "\n".join(["\b", *lines]) for lines in (_example_lines(command), _status_lines(command))
    )


def _example_lines(command: str) -> Iterator[str]:
    yield "Examples:"
    yield from (f"  {each}" for each in EXAMPLES[command])


def _status_lines(command: str) -> Iterator[str]:
    yield "Exit status:"
    yield from (f"  {status:5} {meaning}" for status, meaning in EXIT_STATUSES[command].items())
