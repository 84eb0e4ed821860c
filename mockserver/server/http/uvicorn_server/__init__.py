"""The application on uvicorn: `server` runs it, `connection` reads requests, `response_cycle` writes replies.

The only package that uses uvicorn's internals. It differs from uvicorn on purpose:

- A stop waits for open requests, but no longer than its grace period, and does not poll (uvicorn sleeps
  100 ms twice, and an open stream blocks it forever).
- A request that is not HTTP gets the API's error envelope, not plain text.
- Each request's scope has its connection, for faults that break HTTP.
- It ignores `Upgrade` (RFC 9110, section 7.8) and reads the request's body. The parser would stop after the head,
  and take the body for the next request.
- The authority of a target in absolute form replaces `Host` (RFC 9112, section 3.2.2).
- The head of a response is written together with the first piece of its body, and its headers are not
  validated again, for speed.
- Trailers are dropped, and their bytes are limited as those of the head are.
- A client that sends more requests on a connection than it reads replies has to wait.
- A closed connection frees its requests at once, not when the garbage is collected.
- With a gateway, CONNECT opens a tunnel, in which the same application can answer.
- Plain requests, whose head has the same bytes as an earlier one, are not parsed and need no task (`direct_replies`).
- A connection that would take one of the last open files is refused with 503: without any, requests would fail
  at an import or at a file.
"""
