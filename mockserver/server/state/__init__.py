"""State: sessions and their registry, the store, conversation context, the journal and rate limits.

All mutable state of a server lives in this package. It may import `stubs`, `delivery`, and everything below
`server`.
"""
