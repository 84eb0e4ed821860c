"""JSON that users write: what is wrong with it, and the short form of a stub.

- `problems`: every violation of a schema, each with its pointer, what is expected, the nearest name, an example
- `short_forms`: a stub as users write it, `{"reply": "Hello"}`, in its long form
"""
