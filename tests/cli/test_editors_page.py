"""The settings of docs/editors.md name the schema of exchange files as it is printed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from mockserver.exchange_files import load_exchange_folder
from tests.cli.conftest import RunCli

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "editors.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(text)


@pytest.fixture
def schema(run_cli: RunCli) -> Any:
    """What the command of the page prints."""
    command, file = re.findall(r"\$ mockserver (.*) > (.*)", PAGE)[0]
    (settings,) = json.loads(block("json"))["json.schemas"]
    options = {each.get("name"): each.get("value") for each in ET.fromstring(block("xml")).iter("option")}  # noqa: S314 (our own)
    assert settings == {"fileMatch": [f"/{options['path']}"], "url": f"./{file}"}
    assert options["relativePathToSchema"] == file
    status, output, _ = run_cli(*command.split())
    assert status == 0
    return json.loads(output)


def test_the_schema_accepts_exchange_files_and_marks_mistakes(schema: Any, tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for file in (ROOT / "fixtures").rglob("*.json"):
        assert validator.is_valid(json.loads(file.read_bytes())), file
    assert validator.is_valid([{"match": "Hi", "reply": "Hello"}, {"reply": {"error": "rate-429"}}])
    assert not validator.is_valid({"match": "Hi", "replies": "Hello"})
    assert not validator.is_valid([{"reply": 7}])


def test_the_schema_may_lie_beside_the_files(schema: Any, tmp_path: Path) -> None:
    (tmp_path / "hello.json").write_text('{"reply": "Hello"}')
    (tmp_path / "exchange.schema").write_text(json.dumps(schema))
    assert len(load_exchange_folder(tmp_path)) == 1
