"""Recordings: exchanges with an endpoint, saved to files, replayed, sent again and compared.

Imports the live package, the server and the contract; testing and the commands import it.
"""
