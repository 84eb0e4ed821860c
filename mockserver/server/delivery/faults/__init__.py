"""Faults: failures that a test injects on purpose, by name.

- `service_faults`: errors of the service, as data (`schemas/faults.json`)
- `connections`, `streams`: faults of connections, bodies and streams, registered by name
- `rule_faults`: a rule of the contract, broken by its id
- `catalogue`: all faults
- `requested_faults`: the form `NAME[,OPTION=VALUE…][:PROBABILITY]`

Without a fault, everything that leaves the server is valid, and only what every server uses is loaded: import
`catalogue`, `registry` and `rule_faults` by their own names.
"""

from mockserver.server.delivery.faults.requested_faults import (
    RequestedFault,
    build_requested_fault,
    parse_fault,
)
from mockserver.server.delivery.faults.service_faults import (
    ServiceFault,
    find_service_fault,
    load_service_faults,
)

__all__ = [
    "RequestedFault",
    "ServiceFault",
    "build_requested_fault",
    "find_service_fault",
    "load_service_faults",
    "parse_fault",
]
