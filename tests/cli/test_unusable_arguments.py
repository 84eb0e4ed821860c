"""Every command with arguments that cannot be used: it ends at once, with a message that names the argument."""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import RunCli

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="links need a right"),
    # A command that fails leaves its listening socket to the end of its process, which here goes on.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

#: What may be in the place of a file. A link to itself cannot be read by root either.
FILES = {"missing": None, "folder": None, "loop": None, "binary": b"\x00\xff\xfe\x80", "empty": b""}

LIVE = "http://127.0.0.1:1/v1"

#: Command with FILE, and what may not be in its place.
FILE_COMMANDS = {
    "check FILE": "missing folder loop binary empty",
    "diff FILE FILE": "missing folder loop binary empty",
    "exchanges new FILE": "missing folder loop binary empty",
    "exchanges check FILE": "missing loop binary empty",
    "replay FILE --port 0": "missing folder loop binary empty",
    "serve --port 0 --exchanges FILE": "missing loop binary empty",
    "serve --port 0 --admin-token-file FILE": "missing folder loop binary empty",
    "serve --port 0 --url-file FILE/file": "missing loop binary empty",
    "fuzz --replay FILE -- true": "missing folder loop binary empty",
    f"verify --base-url {LIVE} --profile openai --ca-file FILE": "missing folder loop binary empty",
    f"verify --base-url {LIVE} --profile openai --replay FILE": "missing folder loop binary empty",
    f"verify --base-url {LIVE} --profile openai --prices FILE": "missing folder loop binary empty",
    "init FILE": "missing loop binary empty",
    "doctor --store sqlite:FILE/store.db": "loop binary empty",
    f"record --upstream {LIVE} --port 0 --out FILE": "loop binary empty",
    f"record --upstream {LIVE} --port 0 --out out --ca-file FILE": "missing folder loop binary empty",
}

URL_COMMANDS = (
    "record --port 0 --out out --upstream URL",
    "verify --base-url URL --dry-run --profile openai",
    f"verify --base-url {LIVE} --profile openai --proxy URL",
)

URLS = (
    "http://[::1/v1",
    "nonsense",
    "ftp://127.0.0.1/v1",
    "http://127.0.0.1:99999/v1",
    "https://exa mple/v1",
    "https://exa\nmple/v1",
    "https://example/\tv1",
    "\x00https://example/v1",
)

NUMBER_COMMANDS = (
    "serve --port NUMBER",
    "serve --port 0 --max-body NUMBER",
    "serve --port 0 --pace fixed:NUMBER",
    "serve --port 0 --limit requests=NUMBER",
    "serve --port 0 --chunking bytes:NUMBER",
    "serve --port 0 --fault rate-429:NUMBER",
    "fuzz --examples NUMBER -- true",
    "fuzz --timeout NUMBER -- true",
    f"verify --base-url {LIVE} --max-requests NUMBER",
    f"verify --base-url {LIVE} --rate NUMBER",
)

NUMBERS = ("many", "nan", "inf", "-1", "1e400")

NAME_COMMANDS = (
    "NAME",
    "check --profile NAME empty",
    "check --format NAME empty",
    "check --ignore NAME empty",
    "completion NAME",
    "check --report NAME=x empty",
    "diff NAME qwen-2026-01",
    "faults NAME",
    "rules NAME",
    "schema NAME",
    "schema --profile NAME",
    "fuzz --profile NAME -- true",
    "fuzz --skip NAME -- true",
    "run --profile NAME -- true",
    "serve --port 0 --rendering NAME",
    "serve --port 0 --fault NAME",
    "serve --port 0 --api-key-env NAME",
    f"record --upstream {LIVE} --out out --port 0 --mask regex:NAME(",
    f"record --upstream {LIVE} --out out --port 0 --profile NAME",
    f"verify --base-url {LIVE} --profile NAME",
    f"verify --base-url {LIVE} --profile openai --only NAME",
    f"verify --base-url {LIVE} --api-key-env NAME",
)

PORT_COMMANDS = ("serve --port PORT", f"record --upstream {LIVE} --out out --port PORT")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, content in FILES.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-unusable-arguments")
    yield
    gc.collect()


def assert_refused(run_cli: RunCli, command: str, word: str, value: str) -> None:
    """The command fails with a message that names the value, or else its option."""
    arguments = [argument.replace(word, value) for argument in command.split()]
    status, out, err = run_cli(*arguments)
    printed = out + err
    assert status in (1, 2), printed
    assert "Traceback" not in printed
    assert " b'" not in printed, "the repr of bytes"
    options = [each for each in command.split() if each.startswith("--") and each != "--"]
    assert any(name in printed for name in (value, repr(value)[1:-1], *options)), printed


@pytest.mark.parametrize(
    ("command", "file"),
    [(command, file) for command, files in FILE_COMMANDS.items() for file in files.split()],
)
def test_file_that_cannot_be_used(command: str, file: str, run_cli: RunCli) -> None:
    assert_refused(run_cli, command, "FILE", file)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("command", URL_COMMANDS)
def test_url_that_cannot_be_used(command: str, url: str, run_cli: RunCli) -> None:
    assert_refused(run_cli, command, "URL", url)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("command", NUMBER_COMMANDS)
def test_number_that_cannot_be_used(command: str, number: str, run_cli: RunCli) -> None:
    assert_refused(run_cli, command, "NUMBER", number)


@pytest.mark.parametrize("command", NAME_COMMANDS)
def test_name_that_nothing_has(command: str, run_cli: RunCli) -> None:
    assert_refused(run_cli, command, "NAME", "unheard-of")


@pytest.mark.parametrize("command", PORT_COMMANDS)
def test_port_in_use(command: str, run_cli: RunCli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert_refused(run_cli, command, "PORT", str(listener.getsockname()[1]))
