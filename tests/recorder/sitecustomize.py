"""Records what a mock server emits, in every Python process that has this folder on its path."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class _AppImportHook(importlib.abc.MetaPathFinder):
    """Wraps the application when its module is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "mockserver.server.http.app":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def load_and_wrap(module: ModuleType) -> None:
            load(module)
            recorder = _load_traffic_recorder()
            recorder.record_application(module.App, recorder.write_to_spool)

        spec.loader.exec_module = load_and_wrap  # type: ignore[method-assign]
        return spec


def _load_traffic_recorder() -> ModuleType:
    file = Path(__file__).resolve().parent.parent / "traffic_recorder.py"
    spec = importlib.util.spec_from_file_location("traffic_recorder", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["traffic_recorder"] = module
    spec.loader.exec_module(module)
    return module


if os.environ.get("MOCKSERVER_TEST_SPOOL"):
    sys.meta_path.insert(0, _AppImportHook())
