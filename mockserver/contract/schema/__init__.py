"""The JSON Schemas of a profile: registry, overlays, validation and its messages."""
