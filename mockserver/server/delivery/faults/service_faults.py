"""The errors of the service, by name, each in the form in which the service sends it.

`schemas/faults.json` lists them with HTTP status, envelope, code, message and source. Some come with HTTP
200: a failed response, or in a stream a lone `response.failed` or one payload without a type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

from mockserver import resources
from mockserver.errors import ConfigurationError
from mockserver.named_tuples import NamedTuple
from mockserver.server.errors import FLAT_ENVELOPE, ApiError, ErrorEnvelope
from mockserver.server.mock_headers import FAULT_HEADER
from mockserver.suggestions import choose_from
from mockserver.wire import json

__all__ = ["ServiceFault", "find_service_fault", "load_service_faults"]


class ServiceFault(NamedTuple):
    """One error of the service."""

    name: str
    status: int
    """HTTP status, unless the error comes in a stream."""
    form: str
    """Form of the body: "flat", "wrapped" or "bare" (see `ErrorEnvelope`), or "failed", a response object."""
    code: str
    message: str
    source: str
    """Document and date, and what is inferred."""
    type: str = "InvalidParameter"
    """`type` in a wrapped or bare body."""
    stream: str | None = None
    """Form in a stream: "failed" (a lone `response.failed`) or "payload" (one payload without a type). None:
    the same as without a stream."""
    stream_code: str | None = None
    """The code in a stream, if it differs."""

    def in_band_form(self, *, stream: bool) -> str | None:
        """The form with HTTP 200, "failed" or "payload"; None if the error has its own HTTP status."""
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
        """Return the HTTP error; if a test requested it, a header names the fault."""
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
    """Load all service faults by name, in the order of the file."""
    faults = json.loads((resources.data_folder("schemas") / "faults.json").read_bytes())["faults"]
    return MappingProxyType({members["name"]: ServiceFault(**members) for members in faults})


def find_service_fault(name: str) -> ServiceFault:
    """Return the service fault of this name. Raises ConfigurationError."""
    fault = load_service_faults().get(name)
    if fault is None:
        raise ConfigurationError(f"no fault {name!r}{choose_from(name, load_service_faults())}")
    return fault
