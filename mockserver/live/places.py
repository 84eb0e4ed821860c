"""Where in the contract a finding is: the same for every answer that shows the same thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mockserver.contract.findings import Finding

__all__ = ["contract_location"]

#: Families of rules that are about a stream as a whole: at which event they are broken is chance.
_STREAM_RULE_PREFIXES = ("SSE-", "SEQ-")
#: Rules that tell of a type which is not known: the type is the place.
_UNKNOWN_TYPE_RULES = frozenset({"SEQ-012", "SCH-005", "REQ-006"})


def contract_location(finding: Finding, root: str, value: Any) -> str:
    """A place without indices: "usage/total_tokens", "response.output_text.delta/logprobs".

    `root` names what the finding's pointer goes into, `value` is that. Where the pointer passes a
    response, an item or a part, the place begins anew with its name: it is the same thing, streamed or not.
    """
    if finding.rule in _UNKNOWN_TYPE_RULES:
        return str(finding.got)
    if finding.rule.startswith(_STREAM_RULE_PREFIXES):
        return "stream"
    return "/".join(_location_steps(root, finding.pointer, value))


def _location_steps(root: str, pointer: str, value: Any) -> list[str]:
    steps = [root]
    for token in _pointer_tokens(pointer):
        value = _child(value, token)
        name = _contract_name(token, value)
        steps = [name] if name else [*steps, "*" if token.isdecimal() else token]
    return steps


def _contract_name(token: str, value: Any) -> str | None:
    """What a value is called in the contract, where it has a name of its own."""
    if not isinstance(value, dict):
        return None
    if token in ("response", "usage"):
        return token
    kind = value.get("type")
    return kind if isinstance(kind, str) and (token.isdecimal() or token in ("item", "part")) else None


def _child(value: Any, token: str) -> Any:
    if isinstance(value, dict):
        return value.get(token)
    if isinstance(value, list) and token.isdecimal() and int(token) < len(value):
        return value[int(token)]
    return None


def _pointer_tokens(pointer: str) -> Iterator[str]:
    return (each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:])
