"""The catalogue of all faults, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from mockserver.server.delivery.faults import connections, streams
from mockserver.server.delivery.faults.registry import WIRE_FAULTS, WireFault
from mockserver.server.delivery.faults.service_faults import (
    ServiceFault,
    find_service_fault,
    load_service_faults,
)

__all__ = ["CatalogueEntry", "StatusFault", "catalogue", "status_faults", "wire_faults"]

#: Importing these modules registers the wire faults.
WIRE_FAULT_MODULES = (connections, streams)

#: Headers that tell a client whether and when to retry, by the option that sets them.
RETRY_HEADERS = {"retry-after": b"retry-after", "retry-after-ms": b"retry-after-ms",
                 "should-retry": b"x-should-retry"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StatusFault:
    """An HTTP status with retry headers, to test a client's retries; the service may not send it."""

    name: str
    summary: str
    fault: ServiceFault
    headers: Mapping[str, str]
    """Values by option."""

    def with_status(self, status: int) -> StatusFault:
        """Return the same fault with another status."""
        return replace(self, fault=self.fault._replace(status=status))


class CatalogueEntry(NamedTuple):
    """One row of the catalogue."""

    name: str
    kind: str
    """"connection or body", "stream", "status", "error" (of the service) or "rule"."""
    summary: str
    options: Mapping[str, object]


def wire_faults() -> Mapping[str, WireFault]:
    """Return all wire faults by name."""
    return MappingProxyType(WIRE_FAULTS)


@cache
def status_faults() -> Mapping[str, StatusFault]:
    """Return the status faults by name; `docs/faults.md` says which clients retry after them."""
    plain = ServiceFault(
        "http-status", 503, "flat", "HttpStatus", "A status that the test requested.", "the mock's own"
    )
    rate, quota = find_service_fault("throttling"), find_service_fault("insufficient-quota")
    listed = (
        StatusFault("http-status", "Any status from 400 to 599, in the service's envelope.", plain, {}),
        StatusFault(
            "rate-429",
            "429 for too many requests, with Retry-After: clients retry.",
            rate._replace(name="rate-429"),
            {"retry-after": "1"},
        ),
        StatusFault(
            "quota-429",
            "429 for an exhausted quota, with x-should-retry: false: clients do not retry.",
            quota._replace(name="quota-429"),
            {"should-retry": "false"},
        ),
    )
    return MappingProxyType({each.name: each for each in listed})


def catalogue() -> list[CatalogueEntry]:
    """List every fault: wire faults, statuses, service errors, and the rules that can be broken."""
    from mockserver.server.delivery.faults.rule_faults import breakable_rules

    retry: dict[str, object] = dict.fromkeys(RETRY_HEADERS, "")
    kinds = {"any": "connection or body", "body": "connection or body", "stream": "stream"}
    return [
        *(
            CatalogueEntry(each.name, kinds[each.target], each.summary, each.options)
            for each in sorted(WIRE_FAULTS.values(), key=lambda each: kinds[each.target])
        ),
        *(
            CatalogueEntry(
                each.name, "status", each.summary, {"status": each.fault.status, **retry, **each.headers}
            )
            for each in status_faults().values()
        ),
        *(
            CatalogueEntry(each.name, "error", f"{each.status} {each.code}: {each.message}", retry)
            for each in load_service_faults().values()
        ),
        *(
            CatalogueEntry(rule, "rule", f"Breaks {rule}: see `mockserver rules`.", {})
            for rule in breakable_rules()
        ),
    ]
