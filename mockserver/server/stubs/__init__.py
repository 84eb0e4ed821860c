"""Stubs: configured replies, the matchers that select them, and exchange files.

Python, the admin API and exchange files all create stubs here, so each can configure what the others can.
It may import `delivery`, and everything below `server`.
"""
