"""Probes: the questions that tell whether an endpoint keeps the contract. One function each, by subject."""

from __future__ import annotations

from mockserver.live.probes import refusals, replies, stored_responses, tools
from mockserver.live.probes.registry import Probe, all_probes, select_probes

__all__ = ["PROBE_MODULES", "Probe", "all_probes", "select_probes"]

#: The modules whose import registers the probes: cheap ones first, those of tools last.
PROBE_MODULES = (replies, refusals, stored_responses, tools)
