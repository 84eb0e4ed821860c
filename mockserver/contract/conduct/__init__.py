"""Checks of a client's conduct: what it does over several requests, as no single request can show.

`check_conduct` takes the attempts of a session, in the order of their arrival. The rules are in
`schemas/conduct.json`: retries (RTY), aborts (ABT) and the context of a conversation (CTX).
"""
