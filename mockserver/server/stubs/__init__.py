"""Stubs: configured replies, the matchers that select them, and exchange files.

Python, the admin API and files end here, so each of them can configure what the others can.
"""
