"""Generates values that are valid under an arbitrary JSON Schema, and harmless.

A small library of its own: it imports `errors` and `wire.json` alone, and knows nothing of scripts or profiles.
"""
