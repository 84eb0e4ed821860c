"""The judge of create requests: what the service would refuse, and what it would ignore."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from mockserver.contract.findings import Finding, Severity
from mockserver.contract.rules import finding, graded
from mockserver.contract.schemas import schemas
from mockserver.contract.shapes import breaches, unknowns
from mockserver.profiles import Profile

__all__ = ["AnyModel", "RequestJudge", "ignored_parameters", "thinks"]

_NAME = "create_request"

#: Parameters that are judged together with others: requests without them need no further look.
_PAIRED = frozenset({"conversation", "tool_choice"})


def ignored_parameters(value: dict[str, Any], profile: Profile) -> list[str]:
    """Names of the request's parameters that the service ignores; null is absence.

    Unlisted parameters are ignored, not refused (API reference, 27 January 2026).
    """
    listed = profile.parameters
    return [name for name, given in value.items() if name not in listed and given is not None]


def thinks(value: Mapping[str, Any], profile: Profile) -> bool:
    """Whether the model is to think.

    `reasoning.effort` says so before `enable_thinking` does (API reference, April 2026).
    """
    reasoning = value.get("reasoning") if profile.efforts else None
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    if effort is not None:
        return bool(effort != "none")
    thinking = value.get("enable_thinking") if "enable_thinking" in profile.parameters else None
    return profile.thinking if thinking is None else bool(thinking)


class AnyModel:
    """A container that holds every model."""

    def __contains__(self, model: object) -> bool:
        return True


class RequestJudge:
    """Judges the bodies of create requests for one profile.

    `models` are those that may be asked for: a collection, or anything that has `in`; None means the
    profile's own.
    """

    def __init__(self, profile: Profile, models: Container[str] | None = None) -> None:
        self._profile = profile
        self._models: Container[str] = _models(profile) if models is None else models
        self._schemas = schemas(profile.name)
        self._known = self._schemas.closed_check(_NAME)

    def findings(self, value: Any) -> list[Finding]:
        """What is wrong with a parsed body, in the order in which the service refuses it.

        Errors first (missing parameters, types and ranges, model, tools), then warnings and infos.
        The message of an error is fit to be sent to the client: it names the parameter.
        """
        if (
            self._known(value)
            and value.get("model") in self._models
            and not value.get("tools")
            and value.get("input").__class__ is str
            and _PAIRED.isdisjoint(value)
        ):
            return []
        return self._slow(value)

    def _slow(self, value: Any) -> list[Finding]:
        found = breaches(self._schemas, _NAME, value)
        if not isinstance(value, dict):
            return found
        found += graded(self._model(value), self._profile.name)
        if not found:
            found += self._exclusive(value)
            found += self._tools(value)
            found += _forced(value)
            found += _outputs(value)
        if not self._known(value):
            found += self._unknowns(value)
        return sorted(graded(found, self._profile.name), key=_by_severity)

    def _model(self, value: dict[str, Any]) -> Iterator[Finding]:
        model = value.get("model")
        if isinstance(model, str) and model and model not in self._models:
            expected = list(self._models) if isinstance(self._models, frozenset | list | tuple) else None
            yield finding("REQ-005", "/model", f"Unsupported model: '{model}'.", expected=expected, got=model)

    def _exclusive(self, value: dict[str, Any]) -> Iterator[Finding]:
        given = [name for name in self._profile.exclusive if value.get(name) is not None]
        if len(given) > 1:
            # Text of the vendor's Conversations page (April 2026).
            message = (
                "[400] INVALID_REQUEST: Mutually exclusive parameters: "
                f"Ensure you are only providing one of: {' or '.join(given)}."
            )
            yield finding("REQ-010", f"/{given[-1]}", message, expected=None, got=value[given[-1]])

    def _tools(self, value: dict[str, Any]) -> Iterator[Finding]:
        kinds = [tool.get("type") for tool in value.get("tools") or ()]
        thinking = thinks(value, self._profile)
        for index, kind in enumerate(kinds):
            tool = self._profile.tools.get(kind)
            if tool is None:
                continue
            pointer = f"/tools/{index}/type"
            if tool.needs_tool is not None and tool.needs_tool not in kinds:
                message = tool.needs_tool_message or f"{kind} needs {tool.needs_tool}"
                yield finding("REQ-003", pointer, message, expected=tool.needs_tool, got=kinds)
            if tool.needs_thinking_message is not None and not thinking:
                yield finding(
                    "REQ-004",
                    pointer,
                    tool.needs_thinking_message,
                    expected=True,
                    got=value.get("enable_thinking"),
                )

    def _unknowns(self, value: dict[str, Any]) -> Iterator[Finding]:
        for each in unknowns(self._schemas, _NAME, value):
            name = each.pointer[1:]
            if "/" in name:
                if each.rule != "SCH-003" or each.got is not None:
                    yield each
            elif each.got is not None:
                message = f"{self._profile.name} ignores the parameter"
                yield finding("REQ-002", each.pointer, message, got=each.got)


def _models(profile: Profile) -> Container[str]:
    """The models that a profile knows; some profiles take any."""
    return AnyModel() if profile.any_model else frozenset(profile.models)


def _forced(value: dict[str, Any]) -> Iterator[Finding]:
    """`required` is for requests with exactly one tool (API reference, April 2026)."""
    count = len(value.get("tools") or ())
    if value.get("tool_choice") == "required" and count != 1:
        message = f"tool_choice can be 'required' only where there is exactly one tool, not {count}."
        yield finding("REQ-011", "/tool_choice", message, expected=1, got=count)


def _outputs(value: dict[str, Any]) -> Iterator[Finding]:
    items = value.get("input")
    context = (value.get("previous_response_id"), value.get("conversation"))
    if not isinstance(items, list) or any(each is not None for each in context):
        return
    called: set[str] = set()
    for index, item in enumerate(items):
        kind = item.get("type")
        if kind == "item_reference":
            return
        if kind == "function_call":
            called.add(item["call_id"])
        elif kind == "function_call_output" and item["call_id"] not in called:
            message = f"input[{index}] is the output of a function call that is not in the input before it"
            yield finding("REQ-007", f"/input/{index}/call_id", message, got=item["call_id"])


def _by_severity(each: Finding) -> int:
    return list(Severity).index(each.severity)
