"""Chat Completions: the second API of the server, with the same stubs, exchanges and generated texts.

- `endpoint`: the HTTP handler
- `pipeline`: converts a request to its Responses form, and the reply to a completion
- `plan`: what the bytes of a request decide
- `exchange_scripts`: scripts from exchanges that hold a response or a recording
- `history`: which turn a conversation is at, from its messages
- `errors`: the API's own wording of errors, and the faults that it supports
"""
