"""`mockserver doctor`, and what the commands say if another distribution has a module of the same name."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import mockserver
from mockserver import installation
from tests.cli.conftest import RunCli
from tests.programs import run_program

PACKAGE = Path(mockserver.__file__).parent


def install_other(folder: Path) -> None:
    """Install what an installer leaves of `mockserver-client`, as far as it matters here."""
    record = folder / "mockserver_client-9.2.0.dist-info" / "RECORD"
    record.parent.mkdir(parents=True)
    record.write_text("mockserver/__init__.py,sha256=x,6901\nmockserver/client.py,sha256=x,32517\n")


@pytest.fixture
def with_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site-packages"
    install_other(folder)
    monkeypatch.syspath_prepend(folder)
    return folder


def test_it_reports_versions_data_variables_and_ports(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCKSERVER_SERVER_PORT", "1080")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:canary@proxy.example:3128")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        monkeypatch.setenv("MOCKSERVER_PORT", port)
        status, output, _ = run_cli("doctor")
    assert status == 0, output
    assert f"responses-mockserver {mockserver.__version__} in {PACKAGE}" in output
    assert "starlette " in output
    assert "intact: 5 profiles" in output
    assert "HTTPS_PROXY is set" in output
    assert "canary" not in output
    assert "MOCKSERVER_PORT sets --port; mockserver-client reads it too" in output
    assert "MOCKSERVER_SERVER_PORT is no option" in output
    assert f"{port} cannot be used: " in output
    assert "ready there" not in output


def test_a_port_of_a_server_is_told_from_that_of_another_program(run_cli: RunCli) -> None:
    with mockserver.MockServer() as server:
        port = str(urlsplit(server.base_url).port)
        output = run_cli("doctor", "--port", port)[1]
    assert re.search(rf"{port} cannot be used: .* \(a server is ready there\); serve on another", output)


def test_another_owner_of_the_module_is_a_problem(run_cli: RunCli, with_other: Path) -> None:
    status, output, _ = run_cli("doctor")
    assert status == 1
    assert "PROBLEM: mockserver-client 9.2.0 also installs files in the module 'mockserver'" in output


def test_data_that_cannot_be_read_is_a_problem(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    from mockserver.contract.schema import registry

    def fail(name: str) -> None:
        raise FileNotFoundError(name)

    monkeypatch.setattr(registry, "load_schemas", fail)
    status, output, _ = run_cli("doctor")
    assert status == 1
    assert "PROBLEM: the data cannot be read: FileNotFoundError: " in output


def test_files_that_are_not_as_installed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mockserver").mkdir()
    (tmp_path / "mockserver" / "kept.py").write_bytes(b"")
    (tmp_path / "mockserver" / "changed.py").write_bytes(b"import os\n")
    info = tmp_path / "responses_mockserver-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: responses-mockserver\nVersion: 0.1.0\n")
    empty = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0"
    names = ("kept", "changed", "missing")
    (info / "RECORD").write_text("".join(f"mockserver/{name}.py,{empty}\n" for name in names))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert [*installation.changed_files()] == ["mockserver/changed.py", "mockserver/missing.py"]


@pytest.mark.parametrize("command", ["doctor", "rules", "check"])
def test_a_command_says_so_if_its_module_has_been_replaced(tmp_path: Path, command: str) -> None:
    shutil.copytree(PACKAGE, tmp_path / "mockserver", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "mockserver" / "__init__.py").write_text('"""Another product."""\n')
    install_other(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    arguments = [sys.executable, "-m", "mockserver", command]
    result = run_program(arguments, tmp_path, env=environment)
    assert result.returncode == 1
    assert "mockserver-client 9.2.0 also installs files in the module 'mockserver'" in result.stderr
    assert "Traceback" not in result.stderr
