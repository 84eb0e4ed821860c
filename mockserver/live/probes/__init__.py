"""Probes: the questions that `mockserver verify` asks an endpoint, one function each, grouped by subject."""

from __future__ import annotations

from mockserver.live.probes import refusals, replies, stored_responses, tools
from mockserver.live.probes.registry import Probe, all_probes, select_probes

__all__ = ["Probe", "all_probes", "refusals", "replies", "select_probes", "stored_responses", "tools"]
