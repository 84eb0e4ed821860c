"""Faults: the errors of the service by name, each as it really comes.

The catalogue is data, `schemas/faults.json`: which HTTP status, in which of the service's envelopes, with
which code and words, and where that is from. Some come with HTTP 200: a response that failed, and, in a
stream, one lone `response.failed` or one payload without a type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from mockserver import resources
from mockserver.errors import ConfigurationError
from mockserver.server.errors import FLAT_ENVELOPE, ApiError, ErrorEnvelope
from mockserver.server.mock_headers import FAULT_HEADER
from mockserver.wire import json

__all__ = ["ServiceFault", "find_service_fault", "load_service_faults"]


@dataclass(frozen=True, slots=True)
class ServiceFault:
    """One error of the service."""

    name: str
    status: int
    """HTTP status where no stream was asked for, or where the error comes before one."""
    form: str
    """Its body then: "flat", "wrapped" or "bare" (see `envelopes`), or "failed", a response object."""
    code: str
    message: str
    source: str
    """Document and date; says what is inferred."""
    type: str = "InvalidParameter"
    """`type` in a wrapped or bare body."""
    stream: str | None = None
    """What a stream is then: "failed", one lone response.failed, or "payload", one without a type; None:
    there is no stream, the body is as above."""
    stream_code: str | None = None
    """The code there, where it is another."""

    def in_band_form(self, *, stream: bool) -> str | None:
        """How it comes with HTTP 200: "failed" or "payload"; None where it has a status of its own."""
        if stream and self.stream is not None:
            return self.stream
        return "failed" if self.form == "failed" else None

    def to_api_error(
        self,
        *,
        requested: bool = True,
        error_class: Callable[..., ApiError] = ApiError,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> ApiError:
        """The error for a status of its own, with more `headers`; it tells where it was asked for by name."""
        flat = self.form == "failed"
        return error_class(
            400 if flat else self.status,
            self.code,
            self.message,
            envelope=FLAT_ENVELOPE if flat else ErrorEnvelope(self.form, self.type),
            headers=((FAULT_HEADER, self.name.encode()), *headers) if requested else headers,
            detail=f"fault {self.name}" if requested else "",
        )


@cache
def load_service_faults() -> Mapping[str, ServiceFault]:
    """All faults by name, in the order of their file."""
    listed = json.loads((resources.data_folder("schemas") / "faults.json").read_bytes())["faults"]
    return MappingProxyType({about["name"]: ServiceFault(**about) for about in listed})


def find_service_fault(name: str) -> ServiceFault:
    """The fault of that name; ConfigurationError lists those there are."""
    fault = load_service_faults().get(name)
    if fault is None:
        raise ConfigurationError(f"no fault {name!r}; there are: {', '.join(load_service_faults())}")
    return fault
