"""The admin API: what a test in another language does with a server, over HTTP and behind a token.

- `operations`: what there is, by method and path
- `handlers`: what each does
- `judging`: requests held against `schemas/admin.json`
- `planning`: an exchange becomes a plan
- `document`: its part of the OpenAPI document

Nothing of it is there without a token.
"""

from mockserver.server.admin.handlers import ADMIN_HANDLERS, add_exchange_stub

__all__ = ["ADMIN_HANDLERS", "add_exchange_stub"]
