"""Faults by name: the errors of the service, and what goes wrong on the way to a client.

- `errors`: what the service itself answers, as data (`schemas/faults.json`)
- `connections`, `streams`: what breaks a connection, a body or a stream, each registered by its name
- `violations`: a rule of the contract broken by its id
- `catalogue`: all of them; `asked`: how one is asked for, `NAME[,OPTION=VALUE…][:PROBABILITY]`

Nothing else ever leaves the server invalid.
"""

from mockserver.server.delivery.faults.catalogue import catalogue, wire_faults
from mockserver.server.delivery.faults.registry import OutgoingReply, WireFault
from mockserver.server.delivery.faults.requested_faults import (
    RequestedFault,
    build_requested_fault,
    parse_fault,
)
from mockserver.server.delivery.faults.rule_faults import RuleFault
from mockserver.server.delivery.faults.service_faults import (
    ServiceFault,
    find_service_fault,
    load_service_faults,
)

__all__ = [
    "OutgoingReply",
    "RequestedFault",
    "RuleFault",
    "ServiceFault",
    "WireFault",
    "build_requested_fault",
    "catalogue",
    "find_service_fault",
    "load_service_faults",
    "parse_fault",
    "wire_faults",
]
