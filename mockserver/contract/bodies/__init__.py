"""Checks of whole bodies: create requests and responses."""
