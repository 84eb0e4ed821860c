"""Generates `docs/clients.md` from the matrix and the drivers: `python -m tests.acceptance.clients.clients_page`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from tests.acceptance.clients import later_profiles
from tests.acceptance.clients.matrix import (
    CLIENTS,
    CLIENTS_FOLDER,
    SCENARIOS,
    Client,
    Observation,
    locked_version,
)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "clients.md"

INTRODUCTION = """\
# Clients

The tests run every client below, each version in its own environment, against `mockserver serve` with the
profile `qwen-2026-01`. The tables show what the client's user sees, and the tests expect exactly that.

Some clients cannot read everything that the service sends. The mock server sends it anyway, as the service
does, and the table shows how the client fails: better here than in production.

This page is generated from `tests/acceptance/clients/matrix.py`. Do not edit it; run
`python -m tests.acceptance.clients.clients_page`.

## Configure a client

A client needs the base URL and a key. The server prints both when it starts.

```sh
mockserver serve --api-key sk-mock
```

It runs until you press Ctrl-C. In the terminal of the client:

```sh
export OPENAI_BASE_URL=http://127.0.0.1:8080/api/v2/apps/protocols/compatible-mode/v1
export OPENAI_API_KEY=sk-mock
```

Without `--api-key` the server accepts any key. The section of each client shows how to configure it; the
snippet is the beginning of the program that the tests run.
"""

#: Scenarios that must end with an error.
_EXPECTED_FAILURES = {"wrong_key", "unknown_model"}

#: Not "python": blocks of that name run with this project's packages only; the drivers run these.
_LANGUAGES = {".py": "py", ".mjs": "js", ".toml": "toml"}

#: Scenarios of the overview; the others belong to one or two clients.
_OVERVIEW_SCENARIOS = (
    "basic messages two_turns stream tools tools_stream function function_stream structured wrong_key "
    "unknown_model cancel async"
).split()


def page() -> str:
    """Render the page."""
    parts = [INTRODUCTION, *_overview()]
    for title, group in groupby(CLIENTS, key=lambda client: client.title):
        parts += _section(title, list(group))
    return "\n".join([*parts, *_later_profiles()])


def _later_profiles() -> Iterator[str]:
    """The profiles after January, with the clients that have methods for their features."""
    yield "## Profiles after January\n"
    names = "` and `".join(later_profiles.PROFILES)
    yield f"Run against `{names}`: base URL `http://127.0.0.1:8080/compatible-mode/v1`."
    yield "All of these clients read everything.\n"
    latest = later_profiles.PROFILES[-1]
    yield f"In `{latest}`, each client above also does the same as in `qwen-2026-01` in the scenarios"
    shared = "`, `".join(later_profiles.SHARED_SCENARIOS)
    yield f"`{shared}`: they use `qwen3-max-2026-01-23`, which does not think by"
    yield "default. A model that does, such as `qwen3.5-plus`, sends reasoning first, in events that the stream helper"
    yield "of openai for Node and some agents cannot read: see [helpers.md](helpers.md).\n"
    yield _row(
        [
            "scenario",
            "description",
            *[f"{_language(name)} {_locked(name)}" for name in later_profiles.CLIENTS],
        ]
    )
    yield _row(["---"] * (len(later_profiles.CLIENTS) + 2))
    for name, description in later_profiles.SCENARIOS.items():
        yield _row([f"`{name}`", description, *["✓" for _ in later_profiles.CLIENTS]])
    limited = [
        f"`{later_profiles.expected_observations(profile)['limited']['status']}` in `{profile}`"
        for profile in later_profiles.PROFILES
    ]
    yield f"\nA limit of 16 tokens leaves a response {' and '.join(limited)}, which ignores or honours it.\n"


def _language(environment: str) -> str:
    package, driver = later_profiles.CLIENTS[environment]
    return f"{package} for {'Python' if driver.endswith('.py') else 'Node'}"


def _locked(environment: str) -> str:
    return locked_version(environment, later_profiles.CLIENTS[environment][0])


def _overview() -> Iterator[str]:
    yield "## Overview\n"
    yield "✓ the user gets the requested reply · ✗ the client cannot read the reply or cannot use"
    yield "it · – the client has no such feature\n"
    yield _row(["client", "version", *[f"`{name}`" for name in _OVERVIEW_SCENARIOS]])
    yield _row(["---"] * (len(_OVERVIEW_SCENARIOS) + 2))
    for client in CLIENTS:
        yield _row([client.title, client.version, *[_mark(client, name) for name in _OVERVIEW_SCENARIOS]])
    yield ""
    yield _row(["scenario", "description"])
    yield _row(["---", "---"])
    for name, description in SCENARIOS.items():
        yield _row([f"`{name}`", description])
    yield ""


def _mark(client: Client, scenario: str) -> str:
    if scenario not in client.expected:
        return "–"
    unread = "error" in client.expected[scenario] and scenario not in _EXPECTED_FAILURES
    # Prose is not structured output, even if the client accepts it.
    return "✗" if unread or (scenario == "structured" and "value" not in client.expected[scenario]) else "✓"


def _section(title: str, clients: list[Client]) -> Iterator[str]:
    yield f"## {title}\n"
    yield _snippet(clients[0])
    for client in clients:
        companions = [
            f"{package} {locked_version(client.environment, package)}"
            for package in client.companion_packages
        ]
        yield f"### {' with '.join([f'{client.package} {client.version}', *companions])}\n"
        yield _row(["scenario", "what its user sees", "notes"])
        yield _row(["---", "---", "---"])
        for scenario, sees in _ordered_scenarios(client):
            yield _row([f"`{scenario}`", _describe(sees), client.notes.get(scenario, "")])
        yield ""
        if client.limits:
            yield "\n".join(f"- {limit}" for limit in client.limits) + "\n"


def _ordered_scenarios(client: Client) -> Iterator[tuple[str, Observation]]:
    return ((name, client.expected[name]) for name in SCENARIOS if name in client.expected)


def _snippet(client: Client) -> str:
    """How the driver configures its client."""
    file = CLIENTS_FOLDER / (client.snippet or client.driver)
    text = file.read_text(encoding="utf-8")
    comment = "//" if file.suffix == ".mjs" else "#"
    if client.snippet is None:
        text = text.split(f"{comment} snippet\n")[1].split(f"{comment} end\n")[0]
    text = text.replace("  # type: ignore[import-not-found]", "")
    return f"```{_LANGUAGES[file.suffix]}\n{text.strip()}\n```\n"


def _describe(sees: Observation) -> str:
    """Describe what the user sees."""
    if "error" in sees:
        details = " ".join(str(sees[name]) for name in ("status", "code") if name in sees)
        return f"**{sees['error']}**{f' ({details})' if details else ''}: `{sees['message']}`"
    if "value" in sees:
        return f"a valid `{sees['value']}`"
    parts = []
    if "deltas" in sees:
        parts.append("the stream is closed; then")
    if "calls" in sees:
        parts.append(f"`{'`, `'.join(sees['calls'])}` is called;")
    parts.append(" and ".join(_describe_text(text) for text in sees.get("texts", [sees.get("text")])))
    if "items" in sees:
        parts.append(f"({_run_lengths(sees['items'])})")
    if "dicts" in sees:
        parts.append(f"with plain dicts: {', '.join(sees['dicts'])}")
    return " ".join(parts)


def _describe_text(name: str) -> str:
    return "a generated text" if name == "generated" else f"the text of the sample `{name}`"


def _run_lengths(items: Iterable[str]) -> str:
    return ", ".join(
        f"{name} ×{count}" if (count := len(list(same))) > 1 else name for name, same in groupby(items)
    )


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
