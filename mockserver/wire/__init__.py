"""Bytes to values and back: strict JSON, server-sent events and redaction.

Nothing in this package knows the API. It may import only the modules beside `mockserver/__init__.py`.
"""
