"""Builds replies: scripts, and the responses, event streams and mutants rendered from them.

Imports `profiles` and `wire`; never imports `contract`, so that checker and builder test each other.
"""
