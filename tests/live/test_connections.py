"""Certificate authorities and proxies of `verify`, `record` and `pytest --responses-live`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mockserver.live.connections import parse_connection_options
from mockserver.testing.mock import MockServer
from tests.acceptance.conftest import server_environment
from tests.acceptance.test_record import running_command
from tests.live.tunnels import CA_FILE, Proxy, start_proxy, start_tls_front
from tests.programs import run_program

pytestmark = pytest.mark.slow


NOWHERE = "http://127.0.0.1:9"
KEY = "sk-live-canary-0123456789"
PASSWORD = "proxy-password-canary"
VerifyTls = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An endpoint with https, whose certificate no public authority has signed."""
    with MockServer(api_key=KEY) as server:
        root = httpx.URL(server.base_url)
        assert root.port is not None
        with start_tls_front(root.port) as url:
            yield url + root.path


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with start_proxy(f"user:{PASSWORD}") as server:
        yield server


@pytest.fixture
def verify(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VerifyTls:
    """Run one probe of `mockserver verify` against the endpoint."""
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)

    def run(*options: str | Path, url: str = endpoint, **env: str) -> subprocess.CompletedProcess[str]:
        arguments = ["verify", "--base-url", url, "--profile", "qwen-2026-01", "--only", "basic"]
        return run_program(
            [sys.executable, "-m", "mockserver", *arguments, "--rate", "0", *options],
            tmp_path,
            env=server_environment(DASHSCOPE_API_KEY=KEY, **env),
        )

    return run


def test_an_unknown_authority_is_refused_with_the_remedy(verify: VerifyTls) -> None:
    done = verify()
    assert done.returncode == 2
    assert "certificate verify failed" in done.stderr
    assert "--ca-file" in done.stderr


def test_the_ca_file_is_trusted(verify: VerifyTls) -> None:
    done = verify("--ca-file", CA_FILE)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_the_variables_of_openssl_are_honored(verify: VerifyTls, variable: str, tmp_path: Path) -> None:
    value = CA_FILE
    if variable == "SSL_CERT_DIR":
        value = tmp_path / "authorities"
        value.mkdir()
        (value / "f20e0b1e.0").write_bytes(CA_FILE.read_bytes())  # the name is `openssl x509 -hash`
    done = verify(**{variable: str(value)})
    assert done.returncode == 0, done.stderr


def test_the_proxy_is_used_and_its_password_shown_nowhere(
    verify: VerifyTls, proxy: Proxy, endpoint: str
) -> None:
    done = verify("--ca-file", CA_FILE, "--proxy", proxy.url)
    assert done.returncode == 0, done.stderr
    assert set(proxy.targets) == {httpx.URL(endpoint).netloc.decode()}
    assert KEY.encode() not in proxy.seen
    assert PASSWORD not in done.stdout + done.stderr


def test_proxy_variables_are_not_used(verify: VerifyTls) -> None:
    variables = {"HTTPS_PROXY": NOWHERE, "https_proxy": NOWHERE, "ALL_PROXY": NOWHERE}
    done = verify("--ca-file", CA_FILE, **variables)
    assert done.returncode == 0, done.stderr


def test_an_unreachable_endpoint_names_the_variables_that_have_no_effect(verify: VerifyTls) -> None:
    done = verify(url="https://localhost:9/v1", HTTPS_PROXY=NOWHERE)
    assert done.returncode == 2
    assert "HTTPS_PROXY is set but has no effect: name the proxy with --proxy" in done.stderr


@pytest.mark.parametrize("fault", ["wrong password", "nothing listens"])
def test_a_proxy_that_fails_is_named(verify: VerifyTls, proxy: Proxy, fault: str) -> None:
    url = NOWHERE if fault == "nothing listens" else proxy.url.replace(PASSWORD, "wrong-password")
    done = verify("--ca-file", CA_FILE, "--proxy", url)
    assert done.returncode == 2
    assert "check --proxy" in done.stderr
    assert "wrong-password" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--proxy", "socks5://127.0.0.1:1080"], "--proxy must be a URL like http://"),
        (["--proxy", "proxy.example:3128"], "--proxy must be a URL like http://"),
        (["--proxy", "http://u:secret-word@[::1"], "--proxy must be a URL like http://"),
        (["--proxy", "http://u:secret-word@proxy.example/path"], "has no path"),
        (["--ca-file", "missing.pem"], "cannot use missing.pem: No such file"),
        (["--ca-file", __file__], "no certificate in PEM form"),
        (["--base-url", "http://[::1/v1"], "is not a base URL"),
        (["--base-url", "http://localhost:99999/v1"], "is not a base URL"),
        (["--base-url", "http://127.0.0.1:9/v1", "--proxy", "http://proxy.example:3128"], "unencrypted"),
    ],
)
def test_unusable_options_are_one_line(verify: VerifyTls, options: list[str], message: str) -> None:
    done = verify(*options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret-word" not in done.stderr


def test_a_missing_authority_in_a_variable_names_the_variable(verify: VerifyTls) -> None:
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        done = verify(**{variable: "/nowhere"})
        assert done.returncode == 2
        assert f"{variable}: cannot use /nowhere" in done.stderr


def test_record_connects_through_the_proxy(endpoint: str, proxy: Proxy, tmp_path: Path) -> None:
    options: list[str | Path] = [
        "--upstream",
        endpoint,
        "--out",
        tmp_path / "recordings",
        "--profile",
        "qwen-2026-01",
    ]
    options += ["--ca-file", CA_FILE, "--proxy", proxy.url]
    with running_command(tmp_path / "run", "record", *options) as recorder:
        headers = {"authorization": f"Bearer {KEY}"}
        body = {"model": "qwen3-max-2026-01-23", "input": "hi"}
        reply = recorder.client.post("/responses", json=body, headers=headers)
        assert reply.status_code == 200, reply.text
        assert PASSWORD not in recorder.stdout_text + recorder.stderr_text
    assert proxy.targets
    assert PASSWORD not in "".join(file.read_text() for file in (tmp_path / "recordings").rglob("*.json"))


@pytest.mark.parametrize("upstream", ["http://[::1/v1", "https://localhost:port/v1", "https://[bad]/v1"])
def test_record_refuses_an_invalid_upstream(upstream: str, tmp_path: Path) -> None:
    done = run_program(
        [sys.executable, "-m", "mockserver", "record", "--upstream", upstream, "--out", tmp_path],
        env=server_environment(),
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "is not a base URL" in done.stderr


def test_the_file_of_the_option_wins_over_the_variable(tmp_path: Path) -> None:
    options = parse_connection_options(CA_FILE, None, {"SSL_CERT_FILE": str(tmp_path / "missing")})
    assert options.ca_file == str(CA_FILE)
