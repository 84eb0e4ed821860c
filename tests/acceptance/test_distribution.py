"""The built distribution: the content of the wheel, and that it works without a checkout."""

from __future__ import annotations

import email
import json
import re
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import pytest

import mockserver
from hatch_build import adapt_readme
from tests.acceptance.conftest import ROOT, environment_without_checkout, run_checked

WHEELHOUSE = ROOT / ".environments" / "wheelhouse"
DIST_INFO = f"responses_mockserver-{mockserver.__version__}.dist-info"

# Listed explicitly, so that adding a top-level module or folder is a decision.
TOP_LEVEL = {
    "__init__.py", "__main__.py", "py.typed", "_data",
    "errors.py", "resources.py", "clock.py", "ids.py", "profiles.py", "settings.py", "suggestions.py", "network.py",
    "installation.py", "regular_files.py", "slow_imports.py", "stop_signals.py", "exchange_files.py",
    "named_tuples.py",
    "wire", "documents", "exchanges.py", "contract", "replies", "reports", "server", "live", "recordings",
    "testing", "cli",
}  # fmt: skip

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(wheel: Path) -> None:
    package = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "mockserver").rglob("*")
        if file.suffix in (".py", ".cjs", ".css", ".js", ".html") or file.name in ("py.typed", "LICENSES.txt")
    }
    data = {
        f"mockserver/_data/{file.relative_to(ROOT).as_posix()}"
        for folder in ("schemas", "fixtures")
        for file in (ROOT / folder).rglob("*.json")
    }
    metadata = {
        f"{DIST_INFO}/{name}"
        for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    }

    names = zipfile.ZipFile(wheel).namelist()

    assert sorted(names) == sorted(package | data | metadata)
    assert {name.split("/")[1] for name in names if name.startswith("mockserver/")} == TOP_LEVEL


def test_the_sdist_contains_the_sources_of_the_wheel(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")

    with tarfile.open(sdist) as archive:
        top_level = {name.split("/")[1] for name in archive.getnames()}

    assert top_level == {
        ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "PKG-INFO", "README.md", "SECURITY.md",
        "hatch_build.py", "pyproject.toml", "docs", "fixtures", "mockserver", "schemas",
    }  # fmt: skip


def test_the_metadata_describes_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read(f"{DIST_INFO}/METADATA"))
    classifiers = metadata.get_all("Classifier") or []
    versions = [each for each in classifiers if re.search(r":: 3\.", each)]
    # test_other_interpreters.py runs each that is installed.
    assert versions == [f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14)]
    assert metadata.get_all("Project-URL")
    assert metadata["Author"] == "The responses-mockserver project"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    description = str(metadata.get_payload())
    assert description.startswith("# responses-mockserver\n")
    assert re.findall(r"\]\((?!https?://)[^)]*\)", description) == []


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a fresh virtual environment with the wheel, created without a network."""
    if not WHEELHOUSE.is_dir():
        pytest.skip("there is no .environments/wheelhouse: `make environments` builds it")
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, symlinks=True)
    pip = (sys.executable, "-m", "pip", "--python", folder)
    run_checked(*pip, "install", "--no-index", "--find-links", WHEELHOUSE, wheel, cwd=folder)
    return folder / "bin"


@contextmanager
def running_server(program: Path, folder: Path) -> Iterator[str]:
    """Start a server in `folder`; yields its base URL."""
    url_file, log = folder / "url", folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [program, "serve", "--port", "0", "--url-file", url_file],
            cwd=folder,
            env=environment_without_checkout(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + 300
            while not (url_file.is_file() and url_file.read_text().strip()):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
            yield url_file.read_text().strip()
        finally:
            server.terminate()
            server.wait(60)


def test_the_installed_wheel_serves_a_request(installed: Path, tmp_path: Path) -> None:
    question = {"model": "qwen3-max-2026-01-23", "input": "Hello, please introduce yourself in one sentence."}
    headers = {"Authorization": "Bearer sk-test", "Content-Type": "application/json"}

    with running_server(installed / "mockserver", tmp_path) as url:
        request = Request(f"{url}/responses", json.dumps(question).encode(), headers)
        with build_opener(ProxyHandler({})).open(request, timeout=300) as response:
            status, body = response.status, json.load(response)

    assert status == 200
    assert body["output"][0]["content"][0]["text"].startswith("Hello! I am Qwen")


def test_the_package_is_imported_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Guards the tests above: they must not reach the checkout."""
    code = "import sys, mockserver; assert mockserver.__file__.startswith(sys.prefix), mockserver.__file__"

    run_checked(installed / "python", "-c", code, cwd=tmp_path)


def test_version_is_the_newest_of_the_changelog() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert headings[0] == mockserver.__version__ == version("responses-mockserver")


@pytest.mark.parametrize(
    ("site", "adapted"),
    [
        (None, "Read pytest (`docs/pytest.md#install`) and SECURITY.md."),
        ("https://example.com/", "Read [pytest](https://example.com/pytest.html#install) and SECURITY.md."),
    ],
)
def test_links_of_the_readme_work_on_a_package_index(site: str | None, adapted: str) -> None:
    text = "![](docs/pictures/check.svg)Read [pytest](docs/pytest.md#install) and [SECURITY.md](SECURITY.md)."
    assert adapt_readme(text, site) == adapted
    assert adapt_readme("[more](https://example.com)", site) == "[more](https://example.com)"
