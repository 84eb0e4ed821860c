"""The engine: a request's bytes become a reply's bytes. It touches no socket.

`pipeline` selects a reply, `template_values` fills its template. Everything follows from the session's seed, the
request and its history, never from the order of arrival.
"""
