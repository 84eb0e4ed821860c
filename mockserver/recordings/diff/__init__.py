"""Diff: what changed in the contract between two recordings, two reports or two profiles, never in texts.

Imports recordings and the contract; the commands and the pytest plugin import it.
"""
