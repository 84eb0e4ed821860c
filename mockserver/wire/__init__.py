"""Bytes to values and back; nothing in here knows the API."""
