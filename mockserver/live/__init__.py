"""Live endpoints: verification with probes and reports, and a pass-through that checks both directions.

Imports the contract, the wire and the server; recordings, testing and the commands import it.
"""
