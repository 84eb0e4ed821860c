"""The admin API: control a server over HTTP from a test in any language, with a token.

- `operations`: the operations, and their schemas in `schemas/admin.json`
- `stub_documents`: stubs from JSON, all or none
- `stub_handlers`, `journal_handlers`, `session_handlers`: what each operation does
- `handlers`: the token, bodies and replies of all operations
- `openapi`: the admin API's part of the OpenAPI document

A server without a token has no admin API. This package may import everything in `server`.
"""

from mockserver.server.admin.handlers import ADMIN_HANDLERS
from mockserver.server.admin.operations import require_parts
from mockserver.server.admin.stub_documents import define_stubs, read_stubs

__all__ = ["ADMIN_HANDLERS", "define_stubs", "read_stubs", "require_parts"]
