"""The layers of the package: which module may import which.

The test reads the sources, so it also sees imports inside functions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mockserver"

# From the bottom up. A unit imports only from the rows above its own here; the first row also from itself.
LAYERS = (
    (
        *("errors", "resources", "regular_files", "clock", "ids", "installation", "named_tuples", "network"),
        *("profiles", "settings", "slow_imports", "stop_signals", "suggestions"),
    ),
    ("wire",),
    ("documents",),
    ("exchanges",),
    ("exchange_files",),
    ("contract", "replies"),
    ("reports",),
    ("server",),
    ("live",),
    ("recordings",),
    ("testing",),
    ("cli",),
    ("__main__",),
)
LAYER_OF = {unit: row for row, units in enumerate(LAYERS) for unit in units}
NEVER_IMPORTED = {"__main__"}
ONLY_IMPORTERS = {"uvicorn": "mockserver.server.http.uvicorn_server"}


def parse_modules(package: Path) -> dict[str, ast.Module]:
    """Return the syntax tree of each module, by name."""
    modules = {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = ast.parse(file.read_text(encoding="utf-8"), str(file))
    return modules


def imported_names(name: str, tree: ast.Module, package: Path) -> Iterator[str]:
    """Yield the full name of everything that a module imports, including members."""
    is_folder = package.parent.joinpath(*name.split(".")).is_dir()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".")
                kept = parents[: len(parents) - node.level + is_folder]
                base = ".".join([*kept, node.module] if node.module else kept)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def module_of(target: str, modules: Mapping[str, ast.Module]) -> str | None:
    """Return the module that an imported name is, or is a member of."""
    while target and target not in modules:
        target = target.rpartition(".")[0]
    return target or None


def unit_of(module: str) -> str:
    """Return the unit that a module belongs to; "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def violations(package: Path) -> list[str]:
    """Describe every import that breaks the order."""
    modules = parse_modules(package)
    found = [f"{each} is in no layer" for each in modules if unit_of(each) and unit_of(each) not in LAYER_OF]
    graph: dict[str, list[str]] = {}
    for name, tree in modules.items():
        for target in imported_names(name, tree, package):
            owner = ONLY_IMPORTERS.get(target.split(".")[0])
            if owner is not None and owner != name and not name.startswith(f"{owner}."):
                found.append(f"{name} imports {target}, which only {owner} may import")
            other = module_of(target, modules)
            if other is None or other == name or target == f"{package.name}.__version__":
                continue
            graph.setdefault(name, []).append(other)
            if not may_import(unit_of(name), unit_of(other)):
                found.append(f"{name} imports {other}")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append("cycle: " + " -> ".join(reversed(error.args[1])))
    return found


def may_import(importer: str, imported: str) -> bool:
    """Whether one unit may import another; the package itself may expose any of them and serves none."""
    if importer == imported or not importer:
        return True
    if imported in NEVER_IMPORTED or imported not in LAYER_OF or importer not in LAYER_OF:
        return False
    return LAYER_OF[imported] < LAYER_OF[importer] or LAYER_OF[imported] == LAYER_OF[importer] == 0


def test_layers_hold() -> None:
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"wire/json.py": "from mockserver import errors"}, []),
        ({"server/app.py": "from mockserver import __version__"}, []),
        ({"profiles.py": "from .errors import MockServerError"}, []),
        ({"errors.py": "import mockserver.wire"}, ["mockserver.errors imports mockserver.wire"]),
        ({"wire/sse.py": "def f():\n from .. import cli"}, ["mockserver.wire.sse imports mockserver.cli"]),
        (
            {"contract/check.py": "from mockserver.replies.items import message", "replies/items.py": ""},
            ["mockserver.contract.check imports mockserver.replies.items"],
        ),
        (
            {"replies/items.py": "import mockserver.contract"},
            ["mockserver.replies.items imports mockserver.contract"],
        ),
        ({"cli.py": "from . import testing"}, []),
        ({"live/a.py": "from mockserver import testing"}, ["mockserver.live.a imports mockserver.testing"]),
        ({"clock.py": "from mockserver import serve"}, ["mockserver.clock imports mockserver"]),
        ({"extras.py": ""}, ["mockserver.extras is in no layer"]),
        (
            {"live/client.py": "import uvicorn.server"},
            [
                (
                    "mockserver.live.client imports uvicorn.server, which only "
                    "mockserver.server.http.uvicorn_server may import"
                )
            ],
        ),
        ({"server/http/uvicorn_server/server.py": "import uvicorn"}, []),
        (
            {"clock.py": "import mockserver.ids", "ids.py": "def f():\n from mockserver.clock import now"},
            ["cycle: mockserver.clock -> mockserver.ids -> mockserver.clock"],
        ),
    ],
)
def test_every_kind_of_import_is_checked(tmp_path: Path, files: dict[str, str], expected: list[str]) -> None:
    package = tmp_path / "mockserver"
    skeleton = [
        f"{unit}/__init__.py" for unit in ("wire", "contract", "replies", "server", "live", "testing")
    ]
    skeleton += ["__init__.py", "errors.py", "clock.py", "cli.py"]
    for path, text in {**dict.fromkeys(skeleton, ""), **files}.items():
        file = package / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    assert violations(package) == expected
