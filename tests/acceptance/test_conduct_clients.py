"""What the official SDKs do by default over several requests, published in `docs/conduct.md`.

`tests/data/conduct.json` has the expectations. To measure them anew, run
`python -m tests.acceptance.test_conduct_clients`.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from mockserver.testing.mock import MockServer, MockSession
from tests.acceptance.clients.matrix import CLIENTS_FOLDER
from tests.acceptance.conftest import ENVIRONMENTS, environment_python, isolated_environment, require_program
from tests.programs import run_program

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

MEASURED_FILE = Path(__file__).parent.parent / "data" / "conduct.json"
#: The clients, with their environments.
CLIENTS = {
    "openai-python 3": "openai-newest",
    "openai-python 2": "openai-2",
    "openai-python 1": "openai-1",
    "openai-node 7": "node",
    "openai-node 6": "node-6",
}
REJECTIONS = (400, 401, 403, 404, 413, 422)
CASES = (
    *("error-500", "error-503", "limit-429", "limit-429-ms", "limit-429-twice", "quota-429"),
    *(f"rejected-{status}" for status in REJECTIONS),
    *("failed-200", "failed-200-stream", "stop"),
)


def prepare(session: MockSession, case: str) -> None:
    """Configure the replies of a case."""
    match case:
        case "error-500":
            session.fail("internal-error").always()
        case "error-503":
            session.fail("http-status", status=503).always()
        case "limit-429":
            session.fail("rate-429", retry_after=2).then("Hello.")
        case "limit-429-ms":
            session.fail("rate-429", retry_after_ms=1500).then("Hello.")
        case "limit-429-twice":
            session.fail("rate-429", retry_after=1).times(2).then("Hello.")
        case "quota-429":
            session.fail("quota-429").always()
        case "failed-200" | "failed-200-stream":
            session.fail("rate-limit").always()
        case "stop":
            session.reply(chunks=["One ", "two ", "three."] * 300, pace="model:0,1").always()
        case _:
            session.fail("http-status", status=int(case.removeprefix("rejected-"))).always()


def measure(client: str, folder: Path) -> dict[str, list[Any]]:
    """For each case: what the user sees, the number of requests, and the rules that the check names."""
    environment = CLIENTS[client]
    if client.startswith("openai-node"):
        modules = ENVIRONMENTS / environment / "node_modules"
        if not modules.is_dir():
            pytest.skip(f"there is no .environments/{environment}: `make environments` builds it")
        (folder / "node_modules").symlink_to(modules)
        (folder / "conduct.mjs").write_bytes((CLIENTS_FOLDER / "conduct.mjs").read_bytes())
        command = [require_program("node"), "conduct.mjs"]
    else:
        command = [str(environment_python(environment)), str(CLIENTS_FOLDER / "conduct.py")]
    with MockServer(model="any", strict=False) as server:
        sessions = {case: server.session(case) for case in CASES}
        for case, session in sessions.items():
            prepare(session, case)
        url = httpx.URL(server.base_url)
        variables = {
            "OPENAI_ORIGIN": f"http://{url.host}:{url.port}",
            "OPENAI_BASE_PATH": url.path,
            "OPENAI_API_KEY": server.api_key,
        }
        done = run_program([*command, *CASES], folder, env=isolated_environment(**variables))
        assert done.returncode == 0, done.stderr
        sessions["stop"].assert_left(timeout=60)
        outcomes = dict(json.loads(line) for line in done.stdout.splitlines())
        return {
            case: [
                outcomes[case],
                len(session.journal),
                [finding.rule for _, finding in session.conduct_findings()],
            ]
            for case, session in sessions.items()
        }


@pytest.mark.parametrize("client", CLIENTS)
def test_the_sdk_conducts_itself_as_published(client: str, tmp_path: Path) -> None:
    assert measure(client, tmp_path) == json.loads(MEASURED_FILE.read_text(encoding="utf-8"))[client]


if __name__ == "__main__":
    measured = {}
    for name in CLIENTS:
        with TemporaryDirectory() as temporary:
            measured[name] = measure(name, Path(temporary))
    clients = [
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f"  {json.dumps(case)}: {json.dumps(seen)}" for case, seen in cases.items())
        for name, cases in measured.items()
    ]
    MEASURED_FILE.write_text("{\n" + "\n},\n".join(clients) + "\n}\n}\n", encoding="utf-8")
