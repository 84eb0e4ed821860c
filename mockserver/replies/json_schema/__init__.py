"""Generates values that are valid under an arbitrary JSON Schema, and harmless.

A small library of its own: it imports only `errors` and `wire.json`, nothing about scripts or profiles.
"""
