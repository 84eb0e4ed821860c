"""The samples of the vendor's document, as programs.

Their texts in `clients/` are unchanged, except for the indentation that the document's text dump lost.
The document: OpenAI-compatible Responses API guide, Alibaba Cloud Model Studio, 27 January 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.acceptance.conftest import ENVIRONMENTS, environment_python, require_program

SAMPLES_FOLDER = Path(__file__).parent / "clients"
DOCUMENT_URL = "https://dashscope-intl.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1"

# The migration's samples use a client without showing how it is made.
SETUP = {
    "python": "import os\nfrom openai import OpenAI\n"
    f'client = OpenAI(api_key=os.getenv("DASHSCOPE_API_KEY"), base_url="{DOCUMENT_URL}")\n',
    "node": 'import OpenAI from "openai";\n'
    f'const client = new OpenAI({{ apiKey: process.env.DASHSCOPE_API_KEY, baseURL: "{DOCUMENT_URL}" }});\n',
}


def sample_text(name: str, language: str) -> str:
    """The text of a sample, after the client that it needs."""
    text = (SAMPLES_FOLDER / f"{name}.{language}").read_text(encoding="utf-8")
    return SETUP.get(language, "") + text if name.startswith("migrate-") else text


def text_in_the_document(text: str) -> str:
    """A sample byte for byte as the document's text dump has it: no line is indented."""
    return "\n".join(line.lstrip() for line in text.split("\n"))


def write_program(text: str, language: str, folder: Path) -> Sequence[str | Path]:
    """Write a program's text to a file; the command that runs it."""
    command: list[str | Path]
    if language == "python":
        file = folder / "sample.py"
        command = [environment_python("openai-newest"), file]
    elif language == "node":
        file = folder / "sample.mjs"
        command = [require_program("node"), file]
        packages = ENVIRONMENTS / "node" / "node_modules"
        if not packages.is_dir():
            pytest.skip(
                "there is no .environments/node: `make environments` builds it where npm is installed"
            )
        if not (folder / "node_modules").exists():
            (folder / "node_modules").symlink_to(packages)
    else:
        require_program("curl")
        file = folder / "sample.sh"
        command = [require_program("bash"), file]
    file.write_text(text, encoding="utf-8")
    return command
