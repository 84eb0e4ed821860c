"""How an error message spells what it suggests: in Python, or in the JSON of exchange files and the admin API."""

from __future__ import annotations

from mockserver.named_tuples import NamedTuple
from mockserver.wire import json

__all__ = ["JSON", "PYTHON", "Spelling"]


class Spelling(NamedTuple):
    """How one way to configure stubs spells what messages suggest."""

    violate: str
    """Breaking a rule on purpose."""
    invalid: str
    """Sending invalid content on purpose."""
    is_python: bool

    def fail(self, name: str) -> str:
        """Replying with an error of the service."""
        return f'fail("{name}")' if self.is_python else json.dumps({"error": name}).decode()

    def reply(self, prompt: str) -> str:
        """Adding a stub for a prompt; "": for any request."""
        if self.is_python:
            return f'server.{f"when(prompt={prompt!r})." if prompt else ""}reply("…")'
        stub = {"match": prompt, "reply": "…"} if prompt else {"reply": "…"}
        return f"POST /_mock/stubs, or an exchange file, with {json.dumps(stub).decode()}"


PYTHON = Spelling("violate=", "invalid=True", True)
JSON = Spelling('"fault": "RULE"', '"invalid": true', False)
