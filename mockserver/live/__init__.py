"""The contract, verified against an endpoint that is running: probes, what they found, and reports."""
