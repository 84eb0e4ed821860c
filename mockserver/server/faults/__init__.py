"""Faults by name: the errors of the service, and what goes wrong on the way to a client.

- `errors`: what the service itself answers, as data (`schemas/faults.json`)
- `connections`, `streams`: what breaks a connection, a body or a stream, each registered by its name
- `violations`: a rule of the contract broken by its id
- `catalogue`: all of them; `asked`: how one is asked for, `NAME[,OPTION=VALUE…][:PROBABILITY]`

Nothing else ever leaves the server invalid.
"""

from mockserver.server.faults.asked import AskedFault, asked_fault, parse_fault
from mockserver.server.faults.catalogue import catalogue, wire_faults
from mockserver.server.faults.errors import FAULT_HEADER, Fault, find_fault, load_faults
from mockserver.server.faults.registry import Outgoing, WireFault
from mockserver.server.faults.violations import Violation

__all__ = [
    "FAULT_HEADER",
    "AskedFault",
    "Fault",
    "Outgoing",
    "Violation",
    "WireFault",
    "asked_fault",
    "catalogue",
    "find_fault",
    "load_faults",
    "parse_fault",
    "wire_faults",
]
