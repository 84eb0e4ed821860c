"""Access to the console: a link that works once, exchanged for a cookie that scripts cannot read."""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest
from secrets import token_hex, token_urlsafe

__all__ = ["CHANGE_HEADER", "CONSOLE_PATH", "RULES_PATH", "ConsoleAccess"]

CONSOLE_PATH = "/_mock/console"
RULES_PATH = f"{CONSOLE_PATH}/rules"
#: A page of another site cannot send this header without a pre-flight request, which the server refuses.
CHANGE_HEADER = b"x-mock-console"


class ConsoleAccess:
    """Who may see the console: the browser that opened the printed link."""

    def __init__(self, *, can_change: bool = True) -> None:
        self.can_change = can_change
        """Whether the console controls the server; otherwise it only shows it."""
        self._link_token = token_urlsafe(24)
        self._cookie_value = token_urlsafe(32)
        # Cookies ignore the port, so that each server needs a name of its own.
        self._cookie_name = f"mock-console-{token_hex(4)}"

    def __repr__(self) -> str:
        return "<ConsoleAccess>"

    def link(self, server_url: str) -> str:
        """The link to print; it works once."""
        return f"{server_url}{CONSOLE_PATH}?token={self._link_token}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The tokens, for redaction."""
        return tuple(each for each in (self._link_token, self._cookie_value) if each)

    def redeem(self, token: str) -> str | None:
        """The `Set-Cookie` value for the token of the link; None for any other token, or a second time."""
        if not self._link_token or not compare_digest(token.encode(), self._link_token.encode()):
            return None
        self._link_token = ""
        return f"{self._cookie_name}={self._cookie_value}; Path=/; HttpOnly; SameSite=Strict"

    def is_signed_in(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request has the cookie."""
        for pair in headers.get(b"cookie", b"").split(b";"):
            name, _, value = pair.strip().partition(b"=")
            if name == self._cookie_name.encode():
                return compare_digest(value, self._cookie_value.encode())
        return False

    def may_change(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request may change something: it comes from the console's own page."""
        return self.can_change and headers.get(CHANGE_HEADER) == b"1" and self.is_signed_in(headers)
