"""Generate docs/conduct.md: what is checked of a client's conduct, and the habits that tests plant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mockserver.contract.rules import load_conduct_rules
from tests.testing.conduct_habits import HABITS

__all__ = ["conduct_page"]

MEASURED_FILE = Path(__file__).parent.parent / "tests" / "data" / "conduct.json"

_HEAD = """\
<!-- Written by docs/generate.py from the rules, tests/testing/conduct_habits.py and tests/data/conduct.json. -->
# Conduct

Each request of a client may be valid, and the client still do harm: it retries at once what cannot succeed, goes on
reading after it was stopped, or pays for the same history twice. This shows only over several requests. The mock server
judges it from the journal, by rules of their own: `RTY` (retries), `ABT` (aborts) and `CTX` (the context of a
conversation). `mockserver rules RTY-001` explains one.

The check is off unless you ask for it, so that no test fails that passed before.

| where | how |
|---|---|
| pytest, all tests | `responses_conduct = true` in the ini file, or `--responses-conduct=true` |
| pytest, one test | `@pytest.mark.responses(conduct=True)`, or `conduct=False` to leave it out |
| Python | `server.check(conduct=True)` raises ContractError; `server.conduct_findings()` lists all findings |
| any command | `mockserver run --conduct -- npm test` |
| each case of a client | `mockserver fuzz --conduct -- ./client`, `assert_client_conforms(ask, conduct=True)` |
| HTTP | `GET /_mock/sessions/NAME/verdict?conduct=true` also has all findings in `conduct` |

Errors fail a test; warnings do so with `fail_on="warning"`. `allow=["RTY-003"]` accepts a rule. A finding has the
number of the request that shows the habit:

```text
Conduct RTY-003: the same request was rejected with 400 before, as request 1 (got 400) [request 2]
Conduct CTX-002 at /instructions: the prefix of request 1 has changed: differs at character 34: …
```

## Time

A wait counts by the server's clock or in real time, whichever has advanced more. A client that really sleeps is judged
by its sleep. For a test that does not wait, let the client's sleep advance the clock:

```python
# test_retries.py
import time


def ask(client, model, sleep=time.sleep):
    while True:
        reply = client.post("/responses", json={"model": model, "input": "Hi"})
        if reply.status_code != 429:
            return reply.json()
        sleep(float(reply.headers["retry-after"]))


def test_the_client_waits_as_long_as_it_is_told(responses_server):
    responses_server.fail("rate-429", retry_after=30)
    responses_server.reply("Hello.")
    ask(responses_server.httpx(), responses_server.model, sleep=responses_server.clock.advance)
    responses_server.check(conduct=True)
```

A test that removes the sleep without moving the clock makes its client hot, and the check says so.

## Stopping a client

Nobody but the test knows when a client was told to stop. `server.assert_left()` says that it was, waits until the
client has disconnected, and fails if it stays or reads the reply to its end. `server.mark_stopped()` only says it, and
the verdict at the end judges it (ABT-001, ABT-002). `entry.left_at` is when the client disconnected, by the session's
clock, and None if it had the whole reply.

A test in any language says it over HTTP. `timeout` is how many seconds to wait for the client to disconnect, 0 by
default; the reply has `left_at`:

```sh
curl -H "x-mock-admin-token: $TOKEN" "$MOCK/_mock/sessions/default/stopped" -d '{"timeout": 5}'
curl -H "x-mock-admin-token: $TOKEN" "$MOCK/_mock/sessions/default/verdict?conduct=true"
```

It is about the latest request of the journal, or with `"request": 3` about the third. A request is in the journal when
its reply begins: with `delay_ms`, or a reply function that takes its time, not before.

## What counts as a retry

A retry has the same method, path, body and key as a request that has *failed*: with a status of 400 or more, or with
HTTP status 200 and a failed response. The same request after a success is none: a load test or an evaluation repeats
requests on purpose. If equal requests overlap in time, or come over connections that are open at the same time, nobody
can tell which one repeats which failure; then only a client is judged that counts its retries in
`x-stainless-retry-count`, as the official SDKs do.

Not judged: equal requests in parallel threads that open and close a connection each look like one client that retries,
and clients that leave the connection of a failed reply open look like parallel ones.

A turn belongs to the turn whose id it names in `previous_response_id`, or else to the latest one whose output its input
repeats. Whole new instructions, other tools, and a history without its oldest items are choices, not findings.

## Habits
"""

_CLIENTS_HEAD = """
## What the official SDKs do

Measured with their defaults, in real time. Each cell has what the user of the client gets and the number of requests
sent, with the finding if there is one. None brings an error or a warning: the SDKs retry 408, 409, 429 and 5xx twice,
after half a second and a second less a quarter at most, or after Retry-After. What a conversation repeats is up to
their user, so there is no row about it; [RTY-002](rules.md#rty-002) says what they do with a Retry-After of minutes.
"""

_CASES = {
    "error-500": "500 to every request",
    "error-503": "503 to every request",
    "limit-429": "429 with `Retry-After: 2`, then a reply",
    "limit-429-ms": "429 with `retry-after-ms: 1500`, then a reply",
    "limit-429-twice": "429 with `Retry-After: 1`, twice, then a reply",
    "quota-429": "429 with `x-should-retry: false`",
    **{f"rejected-{status}": str(status) for status in (400, 401, 403, 404, 413, 422)},
    "failed-200": "200 with a failed response",
    "failed-200-stream": "the same in a stream",
    "stop": "a stream that the user closes; the connection was closed",
}


def conduct_page() -> str:
    """Return the whole page."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    yield _HEAD
    yield f"The tests plant each of these {len(HABITS)} habits in a client, and the check names it exactly.\n"
    yield "| the client … | rule | severity | at request |"
    yield "|---|---|---|---|"
    rules = load_conduct_rules()
    for each in HABITS:
        link = f"[{each.rule}](rules.md#{each.rule.lower()})"
        yield f"| {each.name} | {link} | {rules[each.rule].severity} | {each.request} |"
    yield from _client_lines(json.loads(MEASURED_FILE.read_text(encoding="utf-8")))


def _client_lines(measured: dict[str, dict[str, tuple[str, int, list[str]]]]) -> Iterator[str]:
    yield _CLIENTS_HEAD
    yield "| the server sends | " + " | ".join(measured) + " |"
    yield "|---" * (len(measured) + 1) + "|"
    for case, description in _CASES.items():
        cells = (
            ", ".join([seen, str(count), *rules])
            for seen, count, rules in (each[case] for each in measured.values())
        )
        yield f"| {description} | " + " | ".join(cells) + " |"
