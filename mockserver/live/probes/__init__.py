"""Probes: the questions that tell whether an endpoint keeps the contract. One function each, by subject."""

from __future__ import annotations

from mockserver.live.probes import answers, refusals, stored, tools
from mockserver.live.probes.registry import Probe, all_probes, choose

__all__ = ["FAMILIES", "Probe", "all_probes", "choose"]

#: The modules whose import registers the probes: cheap ones first, those of tools last.
FAMILIES = (answers, refusals, stored, tools)
