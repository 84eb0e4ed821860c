"""HTTP: the application and its routes, reading requests, sending replies, and running on a socket.

`app` finds the handler, `dispatch` runs it, `responses_endpoint` is the hot one, `reply_delivery` and
`transmission` send what it makes. Only `uvicorn_server` uses uvicorn's internals. Nothing here decides what a
reply says.
"""
