"""JSON Schemas of a profile: loading, overlays, fast validation, and messages for what is invalid."""
