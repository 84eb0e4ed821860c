"""HTTP: the application and its routes, reading requests, sending replies, and running on a socket.

Only `uvicorn_runner` touches uvicorn's internals. Nothing in here decides what a reply says.
"""
