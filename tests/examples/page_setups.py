"""What a reader of a page has and the page does not show: files, programs, and what happens between two commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.examples.pages import ROOT

__all__ = ["PAGE_SETUPS", "PageSetup"]


@dataclass(frozen=True)
class PageSetup:
    """The surroundings of the console blocks of one page."""

    files: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    """Scripts of Python in place of programs that need a network."""
    before: Mapping[str, str] = field(default_factory=dict)
    """Shell commands before the command that begins with the key."""
    fails: tuple[str, ...] = ()
    """Beginnings of commands that exit with another status than 0, as their text says."""
    not_run: Mapping[str, str] = field(default_factory=dict)
    """Beginnings of commands that cannot run in a test, with the reason."""


_ASK = """\
import json, os, sys, urllib.error, urllib.request

key = os.environ.get("OPENAI_API_KEY") or os.environ["DASHSCOPE_API_KEY"]

def ask(model="qwen3-max-2026-01-23", base_url=os.environ.get("OPENAI_BASE_URL"), stream=False):
    head = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    body = json.dumps({"model": model, "input": "Hello!", "stream": stream}).encode()
    try:
        return urllib.request.urlopen(urllib.request.Request(f"{base_url}/responses", body, head)).read()
    except urllib.error.HTTPError as error:
        return error.read()
"""
#: A test suite of four requests, as `npm test` starts it.
_SUITE = f"{_ASK}\nprint('4 tests')\nfor _ in range(4):\n    ask()\n"
_SUITE_WITH_A_MISTAKE = _SUITE.replace("range(4)", "range(3)") + "ask('none')\n"
_SUITE_WITH_TELEMETRY = f"""{_ASK}
service = "https://dashscope.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1"
print("4 tests")
ask(base_url=service)
try:
    urllib.request.urlopen("https://telemetry.example/")
except urllib.error.URLError:
    pass
for _ in range(2):
    ask(base_url=service)
"""
_SAMPLE = f"""{_ASK}
answer = json.loads(ask(base_url="https://dashscope-intl.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1"))
print(answer["output"][0]["content"][0]["text"])
""".replace("Hello!", "Hello, please introduce yourself in one sentence.")
#: One stream through the recorder.
_RECORD = (
    'OPENAI_BASE_URL="$(cat .url)" python3 ask.py && for _ in $(seq 1200); do '
    "ls recordings/*.json >/dev/null 2>&1 && break; sleep 0.05; done"
)
_ASK_ONCE = f"{_ASK}\nask(stream=True)\n"
_TEST = """\
def test_an_answer(responses_server):
    body = {"model": responses_server.model, "input": "Hello!"}
    assert responses_server.httpx().post("/responses", json=body).status_code == 200
"""
#: What `curl -i` prints of a stream with a wrong text.
_BROKEN_STREAM = """\
import httpx
from mockserver import Message, MockServer

with MockServer(seed=1) as server, server.httpx() as client:
    server.reply(Message(chunks=(" word0", " word1", " word2")))
    reply = client.post("/responses", json={"model": server.model, "input": "Hello!", "stream": True})
print("HTTP/1.1 200 OK")
print(*(f"{name}: {value}" for name, value in reply.headers.items()), sep="\\n", end="\\n\\n")
print(reply.text.replace('"text":" word0 word1 word2"', '"text":" word0 word! word2"', 1), end="")
"""
#: Two runs between which a type has changed and a member is new.
_CHANGE = """\
import pathlib, re
(file,) = pathlib.Path("recordings").glob("*.json")
for folder in ("recordings-in-may", "recordings-in-november"):
    text = file.read_text()
    if folder.endswith("november"):
        text = re.sub(r'(created_at\\\\?":)(\\d+)', r'\\1\\\\"\\2\\\\"', text)
        text = re.sub(r'(usage\\\\?":\\{)', r'\\1\\\\"x_new\\\\":1,', text)
    pathlib.Path(folder).mkdir()
    pathlib.Path(folder, file.name).write_text(text)
"""
_RECORDING = (ROOT / "fixtures" / "qwen-2026-01" / "hello.json").read_text(encoding="utf-8")
#: The other probes are those of tests/live.
_ONE_PROBE = "export MOCKSERVER_ONLY=stream"
_INSTALLS = "installs from a registry"

PAGE_SETUPS = {
    "README.md": PageSetup(
        files={"sample.py": _SAMPLE},
        programs={"npm": _SUITE, "curl": _BROKEN_STREAM},
        fails=("curl",),
        not_run={
            "mockserver fuzz": "clients-in-any-language.md runs it",
            "mockserver verify": "verify.md runs it",
            **dict.fromkeys(
                ("mockserver record", "mockserver replay", "mockserver diff"), "record.md runs it"
            ),
        },
    ),
    "clients-in-any-language.md": PageSetup(
        programs={"npm": _SUITE_WITH_A_MISTAKE},
        before={"mockserver fuzz": f"ln -s {ROOT}/examples examples"},
        fails=("mockserver run", "mockserver fuzz"),
        not_run={
            "schemathesis run": "tests/testing/test_schemathesis_checks.py tests a server with the hooks"
        },
    ),
    "editors.md": PageSetup(before={"mockserver schema": "mkdir exchanges"}),
    "intercept.md": PageSetup(
        files={"sample.py": _SAMPLE},
        programs={"npm": _SUITE_WITH_TELEMETRY},
        fails=("mockserver run --intercept -- npm",),
        not_run={"pip install": _INSTALLS},
    ),
    "javascript.md": PageSetup(not_run={"npm install": _INSTALLS}),
    "load-testing.md": PageSetup(
        not_run={
            "mockserver serve": "shows figures of one machine; tests/examples/test_load_testing_page.py parses it",
            "wrk": "shows figures of one machine; tests/examples/test_load_testing_page.py runs wrk for a second",
            "guidellm run": "shows figures of one machine, and guidellm installs torch",
            "OPENAI_BASE_URL=http://127.0.0.1:8092/v1 k6": "k6 is in no registry that is reached here",
        }
    ),
    "migrate.md": PageSetup(
        not_run={"mockserver check": "tests/acceptance/test_migration_page.py compares it with its request"}
    ),
    "pytest.md": PageSetup(
        files={"live/test_answer.py": _TEST},
        before={"pytest": "cd live"},
        not_run={"pip install": _INSTALLS},
    ),
    "record.md": PageSetup(
        files={
            "ask.py": _ASK_ONCE,
            "change.py": _CHANGE,
            "stubs/hello.json": '{"match": "Hi", "reply": "Hello!"}',
            "tests/test_desk.py": _TEST,
        },
        before={
            "mockserver replay": _RECORD,
            "mockserver diff": "python3 change.py",
        },
        fails=("mockserver diff",),
    ),
    "report.md": PageSetup(
        files={"recordings/hello.json": _RECORDING, "test_answer.py": _TEST},
        programs={"npm": _SUITE},
        before={"mockserver verify": _ONE_PROBE},
    ),
    "verify.md": PageSetup(
        before={"mockserver verify --base-url URL --baseline drift.json --accept": _ONE_PROBE},
    ),
}
