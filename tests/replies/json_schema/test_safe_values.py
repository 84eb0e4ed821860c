"""Values chosen by a member's name: commands, paths and URLs that do no harm."""

from __future__ import annotations

import pytest

from mockserver.replies.json_schema.generator import generate_value
from tests.replies.json_schema.generation import INTEGER, STRING, generate_member


@pytest.mark.parametrize(
    "name",
    [
        *("cmd", "command", "script", "code", "shell", "bash", "exec", "Command", "COMMAND", "commands"),
        *(
            "shell_command",
            "run-script",
            "bashCommand",
            "shellcommand",
            "ｃｍｄ",
            "command.line",
            "命令",
            "sql",
        ),
    ],
)
def test_commands_do_nothing(name: str) -> None:
    assert generate_member(name) == "true"
    assert generate_member(name, {"type": "array", "items": STRING, "minItems": 2}) == ["true", "true"]
    assert generate_member(name, {"type": "string", "minLength": 6}) == "true  "
    assert generate_member(name, {"type": "string", "maxLength": 2}) == ":"
    assert generate_member(name, {"type": "string", "default": "rm -rf /"}) == "true"
    assert generate_member(name, {"enum": ["rm -rf /", "true"]}) == "true"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "path",
            "file",
            "filename",
            "dir",
            "directory",
            "cwd",
            "workdir",
            "filePath",
            "output_dir",
            "OUTPUTFILE",
        ),
        *("script_path", "files", "directories", "target-directory", "路径"),
    ],
)
def test_paths_do_not_exist(name: str) -> None:
    assert generate_member(name) == "/dev/null"
    assert generate_member(name, {"type": "string", "minLength": 11}) == "/dev///null"
    assert generate_member(name, {"type": "string", "maxLength": 4}) == "null"
    assert generate_member(name, {"type": "string", "pattern": "^/srv/"}) == "/srv/null"


@pytest.mark.parametrize(
    "name", ["url", "uri", "link", "href", "endpoint", "webhook", "base_url", "callbackUrl", "image_urls"]
)
def test_urls_never_resolve(name: str) -> None:
    assert generate_member(name) == "https://example.invalid/"
    assert generate_member(name, {"type": "string", "format": "uri"}) == "https://example.invalid/"
    assert generate_member(name, {"type": "string", "pattern": "^http://"}) == "http://example.invalid/"
    assert (
        generate_member(name, {"type": "string", "default": "http://169.254.169.254/"})
        == "https://example.invalid/"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("city", "Hangzhou"), ("location", "Hangzhou"), ("country", "China"), ("language", "en")),
        *(
            ("country_code", "CN"),
            ("email", "user@example.com"),
            ("start_date", "2026-01-01"),
            ("foo", "text"),
        ),
        *(("userEmail", "user@example.com"), ("query", "weather in Hangzhou"), ("", "text"), ("__", "text")),
    ],
)
def test_other_names_get_a_sensible_text(name: str, expected: str) -> None:
    assert generate_member(name) == expected
    assert generate_value(STRING, name) == expected


def test_destructive_enum_values_are_avoided() -> None:
    assert generate_value({"enum": ["delete_all", "DROP TABLE", "list"]}, "action") == "list"
    assert {generate_value({"enum": ["delete", "list", "get"]}, "action", pick) for pick in range(4)} == {
        "list",
        "get",
    }
    assert generate_value({"enum": ["delete"]}, "action") == "delete"
    assert generate_value({"type": "object", "default": {"command": "reboot"}}) == {}
    assert generate_value({"type": "boolean"}, "force", 1) is False
    assert generate_value({"type": "boolean", "default": True}, "recursive") is False
    assert generate_value({"type": "boolean"}, "dry_run") is True
    # Neither init nor a process group.
    assert generate_value(INTEGER, "pid") == 2_147_483_647
