"""The engine: the bytes of a request become the bytes of a reply, without a socket.

`pipeline` runs a request, `selection` chooses its reply, `plan`, `template_values` and `rendered_replies` turn it
into bytes. A reply follows from the session's seed, the request and its history, never from the order of
arrival.
"""
