"""Probes: the questions that `mockserver verify` asks an endpoint, one function each, grouped by subject."""

from __future__ import annotations

from mockserver.live.probes import refusals, replies, stored_responses, tools
from mockserver.live.probes.registry import Probe, all_probes, select_probes

__all__ = ["PROBE_MODULES", "Probe", "all_probes", "select_probes"]

#: The modules that register the probes when imported: cheap probes first, tools last.
PROBE_MODULES = (replies, refusals, stored_responses, tools)
