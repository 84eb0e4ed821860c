"""Names of the headers, and the paths, by which a request controls the mock."""

from __future__ import annotations

__all__ = [
    "ADMIN_PATH_PREFIX",
    "ADMIN_TOKEN_HEADER",
    "DELAY_HEADER",
    "EXTENSION_HEADER",
    "FAULT_HEADER",
    "SCENARIO_HEADER",
    "SESSION_HEADER",
]

#: Start of the paths of the admin API.
ADMIN_PATH_PREFIX = "/_mock/"

ADMIN_TOKEN_HEADER = b"x-mock-admin-token"

#: Milliseconds to wait before the reply.
DELAY_HEADER = b"x-mock-delay"

#: In a reply, the name of an operation that the profile does not have: the mock's own.
EXTENSION_HEADER = b"x-mock-extension"

#: In a request, the fault to inject; in a reply, the fault that was injected.
FAULT_HEADER = b"x-mock-fault"

#: Name of the scenario, stub or exchange that answers.
SCENARIO_HEADER = b"x-mock-scenario"

SESSION_HEADER = b"x-mock-session"
