"""Interception: requests to the service's own https addresses reach the mock, through a proxy and certificates.

- `interception`: which tunnels end in the mock, which may leave the machine, and what clients need
- `certificates`: a certificate authority that lives as long as the server
- `client_variables`: the environment variables that lead a client to the proxy, and let it trust the authority
"""

from __future__ import annotations

from mockserver.server.interception.interception import Interception, intercepted_hosts

__all__ = ["Interception", "intercepted_hosts"]
