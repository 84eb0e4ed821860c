"""Delivery: how a reply reaches the client. Steps, chunking, pacing, timers and faults.

Chunking, pacing and faults are pure functions from steps to steps; `http.transmission` executes the steps.
This package may import `replies`, `contract`, and everything below them.
"""
