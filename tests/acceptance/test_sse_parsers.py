"""Third-party parsers of event streams read back what our encoder writes, for any text."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mockserver.wire.sse import encode
from tests.acceptance.conftest import ENVIRONMENTS, environment_python, isolated_environment, require_program

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

OPENAI_PROGRAM = """
import json, sys
from openai._streaming import SSEDecoder

frames = SSEDecoder().iter_bytes(iter([sys.stdin.buffer.read()]))
json.dump([[frame.event, frame.data] for frame in frames], sys.stdout)
"""

EVENTSOURCE_PARSER_PROGRAM = """
import { createParser } from "eventsource-parser";
import { readFileSync } from "node:fs";

const frames = [];
createParser({ onEvent: (frame) => frames.push([frame.event, frame.data]) }).feed(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(frames));
"""

#: Pitfalls for parsers: all kinds of line ends, text like a field, byte order marks, and every plane.
PIECES = [
    *("\n", "\r", "\r\n", "\n\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\0", "\ufeff"),
    *(":", " ", "data:", "data: x", "event: y", "id:1", "retry:1", "[DONE]", "{", '"', "\\", "%0A"),
    *("é", "汉字", "\U0001f600", "\u0301", "\ud7ff", "\uffff", "\U0010ffff", "word", ""),
]


def sample_texts(count: int) -> list[str]:
    """Random strings of these pieces, and each piece alone."""
    chance = random.Random(20261125)
    mixed = ["".join(chance.choices(PIECES, k=chance.randint(1, 12))) for _ in range(count)]
    return [*PIECES, *mixed]


def parse_with_openai(data: bytes) -> Any:
    return _run([environment_python("openai-newest"), "-c", OPENAI_PROGRAM], data, None)


def parse_with_eventsource_parser(data: bytes) -> Any:
    folder = ENVIRONMENTS / "ai-sdk"
    if not folder.is_dir():
        pytest.skip("there is no .environments/ai-sdk: `make environments` builds it")
    return _run(
        [require_program("node"), "--input-type=module", "-e", EVENTSOURCE_PARSER_PROGRAM], data, folder
    )


def _run(command: list[str | Path], data: bytes, cwd: Path | None) -> Any:
    done = subprocess.run(
        command,
        input=data,
        cwd=cwd,
        env=isolated_environment(),
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("read", [parse_with_openai, parse_with_eventsource_parser])
@pytest.mark.parametrize("separator", [":", ": "])
def test_any_text_survives(read: Any, separator: str) -> None:
    texts = sample_texts(400)
    data = b"".join(encode(text, event="x", separator=separator) for text in texts)
    # WHATWG: a line end of any kind within the data is one line feed.
    assert read(data) == [["x", text.replace("\r\n", "\n").replace("\r", "\n")] for text in texts]


@pytest.mark.parametrize("read", [parse_with_openai, parse_with_eventsource_parser])
def test_a_name_injects_nothing(read: Any) -> None:
    names = ["a\nb", "a\rdata: evil", "a\r\n\r\ndata: evil", "\n\n", "a\n\nevent: b\ndata: c\n\n", "é\0"]
    data = b"".join(encode("safe", event=name, event_id=name) for name in names)
    assert [text for _, text in read(data)] == ["safe"] * len(names)
