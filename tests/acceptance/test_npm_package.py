"""The npm package `responses-mockserver`: vitest, jest, Playwright and plain Node against a real server."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import mockserver
from tests.acceptance.conftest import ENVIRONMENTS, ROOT, require_program, server_environment, wait_until
from tests.examples.pages import find_blocks
from tests.programs import run_program

PACKAGE = ROOT / "packages" / "npm"
WHEELHOUSE = ENVIRONMENTS / "wheelhouse"
MODULES = ENVIRONMENTS / "npm-package" / "node_modules"

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder in which the package and the test runners are installed."""
    if not MODULES.is_dir():
        pytest.skip(".environments/npm-package is missing: `make environments` builds it if npm is installed")
    folder = tmp_path / "project"
    (folder / "node_modules").mkdir(parents=True)
    for each in MODULES.iterdir():
        (folder / "node_modules" / each.name).symlink_to(each)
    shutil.copytree(PACKAGE, folder / "node_modules" / "responses-mockserver")
    return folder


def node_environment(folder: Path, **extra: str) -> dict[str, str]:
    python = {"RESPONSES_MOCKSERVER_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    return server_environment(HOME=str(folder), CI="true", **{**python, **extra})


def run_node(project: Path, *command: str, **extra: str) -> str:
    done = run_program([require_program("node"), *command], project, env=node_environment(project, **extra))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run_script(project: Path, script: str, **extra: str) -> str:
    (project / "script.mjs").write_text(
        f'import {{ startMockServer }} from "responses-mockserver";\n{script}'
    )
    return run_node(project, "script.mjs", **extra)


def test_the_version_is_that_of_the_server() -> None:
    assert json.loads((PACKAGE / "package.json").read_bytes())["version"] == mockserver.__version__


def test_the_vitest_example_passes(project: Path) -> None:
    shutil.copytree(ROOT / "examples" / "vitest", project, dirs_exist_ok=True)
    assert "3 passed" in run_node(project, "node_modules/vitest/vitest.mjs", "run")


@pytest.mark.parametrize("file", ["vitest.config.mjs", "test/desk.test.mjs"])
def test_the_page_shows_the_example(file: str) -> None:
    page = (ROOT / "docs" / "javascript.md").read_text(encoding="utf-8")
    assert f"```js\n{(ROOT / 'examples' / 'vitest' / file).read_text(encoding='utf-8')}```" in page


CLIENT = """
await fetch(`${server.baseURL}/responses`, {
  method: "POST",
  headers: { authorization: `Bearer ${server.apiKey}`, "content-type": "application/json" },
  body: JSON.stringify({ model: server.model, input: "Hi" }),
});
"""


def shown_block(page: str, beginning: str) -> str:
    (block,) = (each.code for each in find_blocks(page) if each.code.startswith(beginning))
    return block


@pytest.mark.parametrize("page", ["javascript.md", "packages/npm/README.md"])
def test_the_script_of_a_page_runs(page: str, project: Path) -> None:
    begin, reply, end = re.split(
        r"(await server\.reply\(.*\n)", shown_block(page, "import { startMockServer }")
    )
    ask = CLIENT.replace("await fetch", "const answer = await fetch")
    show = "console.log((await answer.json()).output[0].content[0].text);\n"
    (project / "script.mjs").write_text(begin + reply + ask + show + end)
    assert "Hello!" in run_node(project, "script.mjs")


def test_a_violation_fails_a_vitest_test(project: Path) -> None:
    shutil.copytree(ROOT / "examples" / "vitest", project, dirs_exist_ok=True)
    test = project / "test" / "desk.test.mjs"
    test.write_text(test.read_text().replace("expect(text)", 'await server.reply("unused"); expect(text)'))
    command = [require_program("node"), "node_modules/vitest/vitest.mjs", "run"]
    done = run_program(command, project, env=node_environment(project))
    assert done.returncode == 1
    assert "the mock server's verdict is fail:" in done.stdout + done.stderr
    assert "Unused stub (unused)" in done.stdout + done.stderr


QUESTION = """
const url = `${process.env.OPENAI_BASE_URL}/responses`;
const headers = { authorization: `Bearer ${process.env.OPENAI_API_KEY}`, "content-type": "application/json" };
const server = connectMockServer();
await server.reply("Hello.");
const body = JSON.stringify({ model: server.model, input: "Hi" });
const reply = await (await fetch(url, { method: "POST", headers, body })).json();
expect(reply.output[0].content[0].text).toBe("Hello.");
await server.check();
"""


def test_the_global_setup_of_jest(project: Path) -> None:
    (project / "jest.config.json").write_text(shown_block("javascript.md", "{"))
    (project / "a.test.js").write_text(
        f'const {{ connectMockServer }} = require("responses-mockserver");\ntest("a", async () => {{{QUESTION}}});\n'
    )
    output = run_node(project, "node_modules/jest/bin/jest.js")
    assert "1 passed" in output
    assert "did not exit" not in output


def test_the_global_setup_of_playwright(project: Path) -> None:
    config = shown_block("javascript.md", "import { createRequire }")
    own = 'export default { testMatch: "a.spec.mjs", '
    (project / "playwright.config.mjs").write_text(config.replace("export default { ", own))
    (project / "a.spec.mjs").write_text(
        'import { expect, test } from "@playwright/test";\nimport { connectMockServer } from "responses-mockserver";\n'
        f'test("a", async () => {{{QUESTION}}});\n'
    )
    assert "1 passed" in run_node(project, "node_modules/@playwright/test/cli.js", "test")


SCRIPT = """
const server = await startMockServer({ profile: "latest", seed: 1 });
const ask = async (input, headers = { authorization: `Bearer ${server.apiKey}` }) =>
  (await fetch(`${server.baseURL}/responses`, {
    method: "POST", headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: server.model, input }),
  })).status;
const results = { name: await server.reply("Hello", { match: "Hi", times: 2 }) };
await server.fail("rate-429");
results.statuses = [await ask("Hi"), await ask("Hi"), await ask("Anything")];
results.passed = (await server.verdict()).verdict;
results.prompts = (await server.journal()).map((entry) => entry.prompt);
results.statuses.push(await ask("Unmatched"), await ask("Hi", {}));
results.failed = await server.check().catch((error) => error.message);
await server.reset();
results.journal = await server.journal();
results.mistake = await server.reply({ txt: "Hello" }).catch((error) => error.message);
console.log(JSON.stringify(results));
await server.stop();
await server.stop();
"""


def test_a_script_controls_the_server(project: Path) -> None:
    results = json.loads(run_script(project, SCRIPT))
    assert results["statuses"] == [200, 200, 429, 400, 401]
    assert (results["name"], results["passed"]) == ("stub-1", "pass")
    assert results["prompts"] == ["Hi", "Hi", "Anything"]
    assert results["failed"].startswith("the mock server's verdict is fail:\n  request 4: ")
    assert "request 5: " in results["failed"]
    assert results["journal"] == []
    assert "did you mean 'text'?" in results["mistake"]


def test_a_process_that_forgets_its_server_ends_all_the_same(project: Path) -> None:
    assert run_script(project, "await startMockServer();\nconsole.log('ready');") == "ready\n"


def test_the_server_stops_if_its_parent_is_killed(project: Path) -> None:
    assert_server_stops_with_its_parent(project, node_environment(project))


def test_uvx_runs_the_wheel_and_stops_it(project: Path, wheel: Path) -> None:
    """Without a network, from the built wheel; uvx is a process between Node and the server."""
    uvx = Path(sys.executable).with_name("uvx")
    if not uvx.exists() or not WHEELHOUSE.is_dir():
        pytest.skip("uvx or .environments/wheelhouse is missing: `make test` installs both")
    environment = node_environment(
        project,
        RESPONSES_MOCKSERVER_PYTHON="",
        PATH=os.pathsep.join([str(uvx.parent), os.environ["PATH"]]),
        UV_CACHE_DIR=str(project / "cache"),
        UV_FIND_LINKS=f"{wheel.parent},{WHEELHOUSE}",
        UV_NO_INDEX="1",
        UV_OFFLINE="1",
        UV_PYTHON=sys.executable,
    )
    del environment["PYTHONPATH"]
    assert_server_stops_with_its_parent(project, environment)


def assert_server_stops_with_its_parent(project: Path, environment: dict[str, str]) -> None:
    script = (
        "const { baseURL } = await startMockServer();\nconsole.log(baseURL);\nsetInterval(() => {}, 1000);\n"
    )
    (project / "script.mjs").write_text(
        f'import {{ startMockServer }} from "responses-mockserver";\n{script}'
    )
    with subprocess.Popen(
        [require_program("node"), "script.mjs"],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        port = int(url.split(":")[2].partition("/")[0])
        assert listens(port)
        process.kill()
    wait_until(lambda: not listens(port), "the server to stop")


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("program", ["uvx", "pipx"])
def test_without_an_interpreter_it_runs_the_version_of_the_package(project: Path, program: str) -> None:
    """The program is a stand-in: it notes its arguments and runs the checkout."""
    (project / "bin").mkdir()
    stand_in = project / "bin" / program
    arguments = {"uvx": 3, "pipx": 4}[program]
    stand_in.write_text(
        f'#!/bin/sh\necho "$@" >arguments\nshift {arguments}\nexec {sys.executable} -m mockserver "$@"\n'
    )
    stand_in.chmod(0o755)
    node = Path(require_program("node")).parent
    path = os.pathsep.join([str(project / "bin"), str(node) if program == "uvx" else str(link_node(project))])
    script = "const server = await startMockServer();\nawait server.stop();"
    run_script(project, script, RESPONSES_MOCKSERVER_PYTHON="", PATH=f"{path}:/bin")
    requirement = f"responses-mockserver=={mockserver.__version__} mockserver serve"
    start = {"uvx": "--from", "pipx": "run --spec"}[program]
    assert (project / "arguments").read_text().startswith(f"{start} {requirement}")


def link_node(project: Path) -> Path:
    """A folder with node alone: another may have uvx."""
    folder = project / "node"
    folder.mkdir()
    (folder / "node").symlink_to(require_program("node"))
    return folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('{ profile: "none" }', "no profile 'none'"),
        (
            '{ python: "/missing/python" }',
            "cannot be run: spawn /missing/python ENOENT; check RESPONSES_MOCKSERVER_PYTHON",
        ),
        (
            '{ command: ["node", "-e", "console.error(`No module named mockserver`)"] }',
            "install it: node -m pip install responses-mockserver",
        ),
        ('{ command: ["node", "-e", "process.exit(3)"] }', "ended with exit status 3"),
        (
            '{ command: ["node", "-e", "setInterval(() => 0, 1000)"], timeout: 300 }',
            "did not start within 300 ms",
        ),
    ],
)
def test_a_server_that_cannot_start_is_an_error_with_its_reason(
    project: Path, options: str, message: str
) -> None:
    output = run_script(
        project, f"await startMockServer({options}).catch(({{ message }}) => console.log(message));"
    )
    assert message in output


TYPED = """
import { connectMockServer, startMockServer, type Verdict } from "responses-mockserver";
import globalSetup from "responses-mockserver/global-setup";

const server = await startMockServer({ profile: "latest", args: ["--verbose"] });
const stub = { match: { contains: "Hi" }, times: "always" } as const;
const name: string = await server.reply([{ reasoning: "They ask." }, "Hello"], stub);
await server.fail({ name: "rate-429", retry_after: 1 });
const verdict: Verdict = await connectMockServer(server.toJSON()).verdict({ conduct: true });
const stop: () => Promise<void> = await globalSetup();
// @ts-expect-error: a number is no reply
await server.reply(7);
console.log(name, verdict.violations[0]?.rule, server.env.OPENAI_BASE_URL, stop);
"""


def test_the_types_are_those_of_the_package(project: Path) -> None:
    (project / "typed.mts").write_text(TYPED)
    options = ("--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--esModuleInterop")
    compiler = "node_modules/typescript/bin/tsc"
    assert run_node(project, compiler, *options, "--types", "node", "typed.mts") == ""
