"""Build what the tests need beside the project's own environment, under `.environments/`.

Each folder beside this script is one client environment, named like the folder and made from its lock:

- `requirements.txt`: a virtual environment, `.environments/<name>/bin/python`
- `package-lock.json` (with its `package.json`): `.environments/<name>/node_modules`
- `sdist.txt`: one source archive, unpacked; a test reads the files in it, nothing of it is installed

`.environments/example-node` holds what `examples/node` needs, by that folder's lock.
`.environments/python-3.N` holds what the package needs with each other interpreter of this machine.
`.environments/wheelhouse` holds the wheels of `requirements/pytest.txt` and `requirements/build.txt`, from which a test
builds and installs the package without a network.
Everything is built once and again only when its lock or its tool has changed.
`make environments` and `make test-all` build all of them, `make test` those that the default suite needs most:
`openai-newest`, `node` and `downstream`. `make lock` refreshes the locks.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

DEFINITIONS = Path(__file__).resolve().parent
ROOT = DEFINITIONS.parent.parent
ENVIRONMENTS = ROOT / ".environments"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
UV = Path(sys.executable).with_name("uv")
#: Supported versions other than the one that runs the tests.
OTHER_VERSIONS = [f"3.{minor}" for minor in range(11, 15) if minor != sys.version_info.minor]


@dataclass(frozen=True, slots=True)
class Environment:
    """One folder to make: `build` fills it from `files` with `tool`, which is None where it is missing."""

    name: str
    files: tuple[Path, ...]
    tool: str | None
    build: Callable[[Path, tuple[Path, ...]], None]

    @property
    def folder(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def stamp_file(self) -> Path:
        return self.folder / ".built-from"

    def digest(self) -> str:
        """What the folder is made from: this script, the tool and the definition."""
        whole = hashlib.sha256(f"{self.tool}\n{self.folder}\n".encode())
        for file in (Path(__file__), *self.files):
            whole.update(hashlib.sha256(file.read_bytes()).digest())
        return whole.hexdigest()

    def is_built(self) -> bool:
        return self.stamp_file.is_file() and self.stamp_file.read_text() == self.digest()


def defined_environments() -> Iterator[Environment]:
    """Every environment there is a definition of."""
    python = f"{sys.executable} {sys.version}"
    wheels = tuple(ROOT / "requirements" / name for name in ("pytest.txt", "build.txt"))
    yield Environment("wheelhouse", wheels, python, build_wheelhouse)
    for folder in sorted(each for each in DEFINITIONS.iterdir() if each.is_dir()):
        locked, packages, archive = (
            folder / name for name in ("requirements.txt", "package.json", "sdist.txt")
        )
        if locked.is_file():
            yield Environment(folder.name, (locked,), python, build_python)
        elif archive.is_file():
            yield Environment(folder.name, (archive,), python, build_sdist)
        elif packages.is_file():
            files = (packages, folder / "package-lock.json")
            yield Environment(folder.name, files, shutil.which("npm"), build_node)
    example = ROOT / "examples" / "node"
    files = (example / "package.json", example / "package-lock.json")
    yield Environment("example-node", files, shutil.which("npm"), build_node)
    for version, interpreter in find_other_interpreters().items():
        build = partial(build_with_interpreter, interpreter)
        yield Environment(f"python-{version}", wheels[:1], str(interpreter), build)


def find_other_interpreters() -> dict[str, Path]:
    """The interpreters of other supported versions on the path, of pyenv and of uv, by version."""
    found = {}
    for version in OTHER_VERSIONS:
        on_path = shutil.which(f"python{version}")
        candidates = [
            *([Path(on_path)] if on_path else []),
            *Path.home().glob(f".pyenv/versions/{version}.*/bin/python"),
            *Path.home().glob(f".local/share/uv/python/cpython-{version}.*/bin/python{version}"),
        ]
        for candidate in candidates:
            code = "import ssl, sqlite3, sys; print('%d.%d' % sys.version_info[:2])"
            done = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
            if done.stdout.strip() == version:  # a shim of pyenv may be of no version
                found[version] = candidate
                break
    return found


def build_wheelhouse(target: Path, files: tuple[Path, ...]) -> None:
    requirements = [word for file in files for word in ("--requirement", str(file))]
    run(*PIP, "wheel", "--no-deps", *requirements, "--wheel-dir", str(target))


def build_python(target: Path, files: tuple[Path, ...]) -> None:
    """A virtual environment without pip: uv fills it, or this one's pip, which takes ten times as long."""
    venv.create(target, symlinks=True)
    install_locked(target, files[0])


def build_with_interpreter(interpreter: Path, target: Path, files: tuple[Path, ...]) -> None:
    """A virtual environment of another interpreter, with the locked packages that fit it."""
    run(str(interpreter), "-m", "venv", "--without-pip", str(target))
    install_locked(target, files[0])


def install_locked(target: Path, lock: Path) -> None:
    requirements = ("--no-deps", "--require-hashes", "--requirement", str(lock))
    if not install_with_uv(target, requirements):
        run(*PIP, "--python", str(target), "install", *requirements)


def install_with_uv(target: Path, requirements: tuple[str, ...]) -> bool:
    """Whether uv could install the requirements: it may be missing, and it does not read pip's configuration."""
    if not UV.exists():
        return False
    python = str(target / "bin" / "python")
    command = (str(UV), "pip", "install", "--quiet", "--python", python, *requirements)
    done = subprocess.run(command, cwd=ROOT, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


def build_sdist(target: Path, files: tuple[Path, ...]) -> None:
    """A source archive, unpacked; pip asks its build backend for its name, and hatchling is here."""
    own = ("--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes")
    run(*PIP, "download", *own, "--requirement", str(files[0]), "--dest", str(target))
    for archive in target.glob("*.tar.gz"):
        with tarfile.open(archive) as opened:
            opened.extractall(target, filter="data")
        archive.unlink()


def build_node(target: Path, files: tuple[Path, ...]) -> None:
    for file in files:
        shutil.copy(file, target)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", cwd=target)


def run(*command: str, cwd: Path = ROOT) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL)


def build_if_outdated(environment: Environment) -> str | None:
    """Build the environment unless it is there; what went wrong, in one line."""
    if environment.tool is None:
        print(f"{environment.name}: left out, npm is not installed (its tests say so)", flush=True)
        return None
    if environment.is_built():
        return None
    print(f"{environment.name}: building", flush=True)
    shutil.rmtree(environment.folder, ignore_errors=True)
    environment.folder.mkdir(parents=True)
    try:
        environment.build(environment.folder, environment.files)
    except subprocess.CalledProcessError as error:
        return f"{environment.name}: {' '.join(map(str, error.cmd))} failed ({error.returncode})"
    environment.stamp_file.write_text(environment.digest())
    return None


@contextmanager
def building() -> Iterator[None]:
    """Let no other process build meanwhile: two would build in the same folders."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that builds {ENVIRONMENTS.name}", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(names: Collection[str]) -> int:
    """Build the named environments, or all of them, if they are missing or outdated; return the exit status."""
    chosen = [each for each in defined_environments() if not names or each.name in names]
    if unknown := set(names) - {each.name for each in chosen}:
        print(f"error: no such environment: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    with building(), ThreadPoolExecutor(max_workers=3) as pool:
        failures = [failure for failure in pool.map(build_if_outdated, chosen) if failure]
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
