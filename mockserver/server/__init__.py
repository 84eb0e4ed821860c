"""The mock server: from a request on a socket to the bytes of its reply.

Here is what all its packages need: access control, error replies, request facts and echoes.
"""
