"""Delivery: how a reply reaches the client. Steps, chunking, pacing, timers and faults.

Chunking, pacing and faults are pure functions from steps to steps; `http.transmission` carries the steps out.
"""
