"""The text that `mockserver serve` prints at the start: URLs, keys and a first request."""

from __future__ import annotations

from collections.abc import Sequence

from mockserver.contract.chat.service import CHAT_BASE_PATH
from mockserver.profiles import Profile

__all__ = ["startup_banner"]

_RENDERING_NOTES = {
    "wire": "as the service sends it",
    "documented": "as the documentation prints it",
}


def startup_banner(
    url: str,
    profile: Profile,
    rendering: str,
    key_variables: Sequence[str],
    accepts_any_key: bool,
    own_key: str = "",
    notes: Sequence[str] = (),
    more_exports: Sequence[str] = (),
) -> str:
    """The lines printed at the start, without any key but one that the server made for its clients.

    `key_variables` are the environment variables that hold accepted keys; `notes` are lines about other addresses
    and what is not usual; `more_exports` are lines that set other variables of clients.
    """
    base_url = url + profile.base_path
    if accepts_any_key:
        variable, key, exports = "DASHSCOPE_API_KEY", "sk-mock", ["export DASHSCOPE_API_KEY=sk-mock"]
    else:
        variable = key_variables[0] if key_variables else "DASHSCOPE_API_KEY"
        key = f"${variable}"
        given = f"export DASHSCOPE_API_KEY={own_key or '…    # the key given with --api-key'}"
        exports = [] if key_variables else [given]
    exports += [f'export OPENAI_API_KEY="${variable}"', f"export OPENAI_BASE_URL={base_url}", *more_exports]
    body = f'{{"model": "{profile.models[0]}", "input": "Hello, please introduce yourself in one sentence."}}'
    curl = (
        f'curl {base_url}/responses -H "Authorization: Bearer {key}" '
        f"-H 'Content-Type: application/json' -d '{body}'"
    )
    return "\n".join(
        [
            f"Serving {profile.title} ({profile.name})",
            f"  base URL   {base_url}",
            f"  Chat URL   {url}{CHAT_BASE_PATH}",
            f"  rendering  {rendering}: {_RENDERING_NOTES.get(rendering, '')}",
            f"  keys       {'any' if accepts_any_key else 'only the configured ones'}",
            *(f"  {note}" for note in notes),
            "",
            *[f"  {line}" for line in exports],
            "",
            f"  {curl}",
            "",
            "Press Ctrl-C to stop.",
        ]
    )
