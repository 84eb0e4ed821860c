"""OpenAPI documents of a profile, generated from its schemas."""
