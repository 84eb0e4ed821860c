"""The console: a page that shows what a running server receives, and controls it.

- `access`: the one-time link, and the cookie that it is exchanged for
- `feed`: the live list of requests, as server-sent events
- `exchange_pages`: one request and its reply, as the report draws them
- `snippets`: a request as a curl command, an exchange file, a test or a script
- `observed_app`: the console in front of the recorder and the replay server
- `handlers`: the paths under `/_mock/console`
- `static/`: the page; `preact.js` comes from `make console`

A server without `--console` imports nothing of this package, which may import everything in `server`.
"""

from mockserver.server.console.access import ConsoleAccess
from mockserver.server.console.handlers import CONSOLE_HANDLERS

__all__ = ["CONSOLE_HANDLERS", "ConsoleAccess"]
