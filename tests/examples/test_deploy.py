"""The files in `examples/deploy`: valid under their published schemas, and what they run works.

No container engine is needed: the steps of the Containerfile run in a folder in place of the root of a file system.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from configparser import RawConfigParser
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator

from mockserver.cli.commands import group
from mockserver.cli.serve import serve
from mockserver.server.access import HEALTH_PATHS
from mockserver.server.http.uvicorn_server.server import ABORT_TIMEOUT_SECONDS, SHUTDOWN_GRACE_SECONDS
from mockserver.settings import SETTING_NAMES
from mockserver.testing.mock import MockServer
from tests.api_client import wait_until
from tests.nginx import nginx
from tests.permissions import without_override
from tests.programs import free_port, run_program

#: Seconds that the server may take to stop, with workers whose clients do not leave.
STOP_SECONDS = SHUTDOWN_GRACE_SECONDS + ABORT_TIMEOUT_SECONDS + 5

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "examples" / "deploy"
KUBERNETES_SCHEMAS = ROOT / "tests" / "data" / "kubernetes" / "schemas.json"
DEFINITIONS = {
    ("apps/v1", "Deployment"): "io.k8s.api.apps.v1.Deployment",
    ("v1", "Service"): "io.k8s.api.core.v1.Service",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
}


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["Containerfile", "compose.yaml", "kubernetes.yaml", "mockserver.service"])
def test_every_variable_is_a_setting(name: str) -> None:
    names = set(re.findall(r"\bMOCKSERVER_([A-Z_]+)", read(name)))
    assert names
    assert {each.lower() for each in names} <= SETTING_NAMES


def test_compose_follows_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = run_program([*command, FOLDER / "compose.yaml"])
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_refers_to_files_that_exist() -> None:
    services = yaml.safe_load(read("compose.yaml"))["services"]
    build = services["mock"]["build"]
    context = FOLDER / build["context"]
    assert context.resolve() == ROOT
    assert (context / build["dockerfile"]).is_file()
    assert (FOLDER / services["proxy"]["volumes"][0].partition(":")[0]).is_file()
    for each in services.values():
        assert services.keys() >= each.get("depends_on", {}).keys()


def test_compose_services_are_restricted_pinned_and_watched() -> None:
    services = yaml.safe_load(read("compose.yaml"))["services"]
    for each in services.values():
        assert each["read_only"] is True
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert each["healthcheck"]["test"][0] == "CMD"
        assert {"mem_limit", "pids_limit", "restart"} <= each.keys()
        assert "build" in each or re.search(r":\d+\.\d+\.\d+-", each["image"])
    assert services["mock"]["cap_drop"] == ["ALL"]
    assert "ports" not in services["mock"] | services["redis"]


def test_the_variables_of_compose_are_valid_options(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in yaml.safe_load(read("compose.yaml"))["services"]["mock"]["environment"].items():
        monkeypatch.setenv(name, "sk-test" if name == "MOCKSERVER_API_KEY" else str(value))
    settings = serve.make_context("serve", [], **group.context_settings).params
    assert settings["allow_host"] == ("mock",)
    assert settings["workers"] > 1
    assert settings["store"].startswith("redis://redis:")


def test_kubernetes_objects_follow_their_schemas() -> None:
    schemas = json.loads(KUBERNETES_SCHEMAS.read_text(encoding="utf-8"))
    objects = list(yaml.safe_load_all(read("kubernetes.yaml")))
    assert [(each["apiVersion"], each["kind"]) for each in objects] == list(DEFINITIONS)
    for each in objects:
        name = DEFINITIONS[each["apiVersion"], each["kind"]]
        validator = Draft202012Validator({**schemas, "$ref": f"#/$defs/{name}"})
        assert [error.message for error in validator.iter_errors(each)] == []
        assert [*validator.iter_errors({**each, "sepc": {}})]  # the schemas are strict


def test_kubernetes_objects_fit_together() -> None:
    deployment, service, scaler = yaml.safe_load_all(read("kubernetes.yaml"))
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    # A service named mockserver would set MOCKSERVER_PORT=tcp://… in the pod.
    assert template["spec"]["enableServiceLinks"] is False
    (container,) = template["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in HEALTH_PATHS
    assert "cpu" in container["resources"]["requests"]  # the scaler's utilization is a share of it
    assert "memory" in container["resources"]["limits"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    (mount,), (volume,) = container["volumeMounts"], template["spec"]["volumes"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], "/tmp")  # noqa: S108
    _, pause = container["lifecycle"]["preStop"]["exec"]["command"]
    assert template["spec"]["terminationGracePeriodSeconds"] > int(pause) + STOP_SECONDS
    program, command, *options = container["args"]
    assert (program, command) == ("mockserver", "serve")
    serve.make_context("serve", options, **group.context_settings)


def test_the_systemd_unit_runs_serve() -> None:
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(read("mockserver.service"))
    assert unit.sections() == ["Unit", "Service", "Install"]
    program, command, *options = shlex.split(unit["Service"]["ExecStart"])
    assert (Path(program).name, command) == ("mockserver", "serve")
    serve.make_context("serve", options, **group.context_settings)
    assert unit["Service"]["DynamicUser"] == "yes"
    assert int(unit["Service"]["TimeoutStopSec"]) > STOP_SECONDS


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "mockserver.service"
    unit.write_text(read("mockserver.service").replace("/opt/mockserver/bin/mockserver", "/bin/true"))
    done = run_program(["systemd-analyze", "verify", unit])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class Image:
    """The last stage of a Containerfile, with a folder in place of the root."""

    def __init__(self, root: Path, text: str) -> None:
        self.root = root
        self.home = root / "home"
        self.home.mkdir(parents=True)
        self.variables: dict[str, str] = {}
        self.user = ""
        self.command: list[str] = []
        self.health_check: list[str] = []
        self.working_folder = root
        for line in re.sub(r"\\\n", "", text).splitlines():
            instruction, _, arguments = line.partition(" ")
            if instruction and instruction != "#":
                getattr(self, f"_{instruction.lower()}")(arguments)

    def _inside(self, text: str) -> str:
        return re.sub(r"(?<![\w.])/(src|opt|tmp)\b", rf"{self.root}/\1", text)

    def environment(self, **extra: str) -> dict[str, str]:
        """Nothing of the caller's but where pip finds packages."""
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        path = os.pathsep.join([f"{sys.base_prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin"])
        folders = {"HOME": str(self.home), "PATH": path, "TMPDIR": str(self.working_folder)}
        return {**pip, **folders, **self.variables, **extra}

    def _from(self, arguments: str) -> None:
        assert arguments.startswith("docker.io/library/python:3.")
        assert re.fullmatch(r"\S+:\d+\.\d+\.\d+-slim-\w+( AS build)?", arguments)  # pinned
        self.variables, self.user = {}, ""

    def _copy(self, arguments: str) -> None:
        *sources, target = arguments.split()
        if sources[0].startswith("--from="):
            assert sources[1:] == [target]
            assert Path(self._inside(target)).is_dir()  # the stages share the folder
            return
        folder = Path(self._inside(target))
        for each in sources:
            if (ROOT / each).is_dir():
                shutil.copytree(ROOT / each, folder)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / each, folder)

    def _run(self, arguments: str) -> None:
        done = run_program(
            ["/bin/sh", "-c", self._inside(arguments)], self.home, env=self.environment(), timeout=1800
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _env(self, arguments: str) -> None:
        name, _, value = arguments.partition("=")
        self.variables[name] = self._inside(value)

    def _workdir(self, arguments: str) -> None:
        self.working_folder = Path(self._inside(arguments))
        self.working_folder.mkdir(exist_ok=True)

    def _user(self, arguments: str) -> None:
        self.user = arguments

    def _expose(self, arguments: str) -> None:
        assert arguments == self.variables["MOCKSERVER_PORT"]

    def _healthcheck(self, arguments: str) -> None:
        self.health_check = json.loads(arguments.partition("CMD ")[2])

    def _cmd(self, arguments: str) -> None:
        self.command = json.loads(arguments)

    def program(self, command: list[str]) -> list[str | Path]:
        """The command with its program found as in the image, held back by permissions like the image's user."""
        found = shutil.which(command[0], path=self.variables["PATH"])
        assert found is not None
        return without_override([found, *command[1:]])

    def make_read_only(self) -> None:
        """Leave only `/tmp` writable."""
        for each in (self.root, *self.files()):
            if not each.is_symlink():
                each.chmod(each.stat().st_mode & ~0o222)

    def files(self) -> set[Path]:
        """All files outside of `/tmp`, which alone is writable."""
        return {each for each in self.root.rglob("*") if self.working_folder not in (each, *each.parents)}


@contextmanager
def running(image: Image, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the image's command."""
    with subprocess.Popen(
        image.program(image.command), cwd=image.working_folder, env=image.environment(**variables)
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(60) == 0


@pytest.mark.slow
def test_the_steps_of_the_containerfile_make_a_server_that_is_healthy(tmp_path: Path) -> None:
    image = Image(tmp_path / "root", read("Containerfile"))
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", image.user)  # a number, for runAsNonRoot
    variables = {
        "MOCKSERVER_PORT": str(free_port()),
        "MOCKSERVER_API_KEY": "sk-test-0123456789",
        "MOCKSERVER_WORKERS": "2",
        "MOCKSERVER_METRICS": "true",
        "MOCKSERVER_URL_FILE": str(image.working_folder / "url"),
    }
    files = image.files()
    image.make_read_only()

    def is_healthy() -> bool:
        check = subprocess.run(
            image.program(image.health_check),
            cwd=image.working_folder,
            env=image.environment(**variables),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert check.returncode in (0, 1), check.stderr
        return check.returncode == 0

    assert not is_healthy()
    with running(image, **variables):
        wait_until(is_healthy)
        root = f"http://127.0.0.1:{variables['MOCKSERVER_PORT']}"
        reply = httpx.post(
            f"{root}/v1/responses",
            headers={"authorization": f"Bearer {variables['MOCKSERVER_API_KEY']}"},
            json={"model": "qwen3-max-2026-01-23", "input": "Hello"},
        )
        assert reply.json()["status"] == "completed"
        assert "mockserver_requests_total" in httpx.get(f"{root}/metrics").text
        assert len([*image.working_folder.glob("mockserver-*")]) == 2  # the store, and the metrics
    assert not is_healthy()
    assert image.files() == files
    assert [*image.working_folder.glob("mockserver-*")] == []


def nginx_site(port: int, upstream: str) -> str:
    """The example's configuration of nginx, for another port and another upstream."""
    return (
        read("nginx.conf").replace("mock:8080", upstream).replace("listen 8080", f"listen 127.0.0.1:{port}")
    )


def test_events_pass_nginx_one_by_one(tmp_path: Path) -> None:
    port = free_port()
    with MockServer(pauses="clock", pace="fixed:60000", allow_host="mock", strict=False) as server:
        url = httpx.URL(server.base_url)
        with nginx(tmp_path, nginx_site(port, f"127.0.0.1:{url.port}")):
            through = f"http://127.0.0.1:{port}"

            def is_ready() -> bool:
                try:
                    return httpx.get(f"{through}/ready").status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(is_ready)
            body: Any = {"model": server.model, "input": "Hello", "stream": True}
            headers = {"authorization": f"Bearer {server.api_key}"}
            with httpx.stream(
                "POST", f"{through}{url.path}/responses", json=body, headers=headers, timeout=60
            ) as reply:
                pieces = reply.iter_raw()
                server.clock.advance(60)
                assert b"response.completed" not in next(pieces)
                server.clock.advance(36_000)
                assert b"response.completed" in b"".join(pieces)
