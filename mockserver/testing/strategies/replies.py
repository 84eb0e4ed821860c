"""Strategies for replies: responses, items, usage, errors and streams, rendered from drawn scripts.

A script is drawn; the builder renders it validly, so no value is drawn and thrown away.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cache

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.replies.script import Script
from mockserver.testing.strategies import openresponses, openresponses_streams
from mockserver.testing.strategies.rendered_replies import (
    RenderContext,
    ReplySpec,
    render_context,
    render_events,
    render_response,
    tools_for_script,
)
from mockserver.testing.strategies.scripts import (
    ERROR_CODES,
    item_kinds,
    script_statuses,
    scripts,
    scripts_starting_with,
)
from mockserver.testing.strategies.values import UNKNOWN_MEMBERS, JSONObject, event_types, select_names, texts

__all__ = [
    "errors",
    "events",
    "output_items",
    "responses",
    "streams",
    "streams_from_scripts",
]

#: Seconds since the epoch: in January 2026, the first second, and beyond 32 bits.
_CREATED_AT = st.sampled_from([1769084048, 1, 1 << 32])
_TOOL_CHOICES = st.sampled_from(["auto", "none", "required", {"type": "function", "name": "get_weather"}])
_REQUEST_ID = "00000000-0000-9000-8000-000000000000"


def responses(
    *,
    profile: str = DEFAULT_PROFILE,
    rendering: str = "wire",
    kinds: Collection[str] | None = None,
    statuses: Collection[str] | None = None,
    unknown: bool = False,
    surrogates: bool = False,
) -> SearchStrategy[JSONObject]:
    """Bodies of responses that are not streamed, as JSON values.

    `kinds` and `statuses` as in `scripts`. `unknown` adds members that the profile does not know, which a
    client has to tolerate.
    """
    script_strategy = scripts(profile=profile, kinds=kinds, statuses=statuses, surrogates=surrogates)
    return _responses(profile, rendering, script_strategy, unknown)


@st.composite
def _responses(
    draw: DrawFn, profile: str, rendering: str, script_strategy: SearchStrategy[Script], unknown: bool
) -> JSONObject:
    context = render_context(profile, rendering)
    reply = draw(_reply_specs(context, script_strategy))
    response = render_response(reply, context)
    if openresponses.is_open_responses(context.profile) and (
        names := draw(openresponses_streams.variant_names())
    ):
        response = openresponses_streams.apply_variants(render_events(reply, context), names)[-1]["response"]
    if unknown:
        for place in [response, *response["output"]]:
            place.update(draw(UNKNOWN_MEMBERS))
    return response


def output_items(
    *,
    profile: str = DEFAULT_PROFILE,
    rendering: str = "wire",
    kinds: Collection[str] | None = None,
    unknown: bool = False,
    surrogates: bool = False,
) -> SearchStrategy[JSONObject]:
    """Completed output items; options as in `responses`."""
    whole = responses(
        profile=profile,
        rendering=rendering,
        kinds=kinds,
        statuses=("completed",),
        unknown=unknown,
        surrogates=surrogates,
    )
    return whole.map(lambda response: response["output"][0])


@st.composite
def errors(
    draw: DrawFn,
    *,
    profile: str = DEFAULT_PROFILE,
    rendering: str = "wire",
    unknown: bool = False,
    surrogates: bool = False,
) -> JSONObject:
    """Error bodies: flat, wrapped in `error`, or a failed response (which comes with HTTP 200).

    The flat form is also the untyped payload of a stream.
    """
    context = render_context(profile, rendering)
    message = draw(texts(surrogates))
    is_open = openresponses.is_open_responses(context.profile)
    forms = ["common"] if is_open else ["flat", "wrapped", "not found"]
    form = draw(st.sampled_from([*forms, "failed response"]))
    if form == "common":
        body: JSONObject = draw(openresponses.error_bodies(profile, surrogates))
    elif form == "flat":
        code = draw(st.sampled_from(["InvalidParameter", "InvalidApiKey", "Throttling.RateQuota"]))
        body = {"code": code, "message": message, "request_id": _REQUEST_ID}
    elif form == "wrapped":
        inner = {
            "code": "invalid_api_key",
            "message": message,
            "param": None,
            "type": "invalid_request_error",
        }
        body = {"error": inner, "request_id": _REQUEST_ID, "id": draw(st.sampled_from([None, "chatcmpl-1"]))}
    elif form == "not found":
        body = {"error": {"message": message, "type": "invalid_request_error"}}
    else:
        # Rate limiting is reported like this, without a model (OpenAPI document, August 2026).
        body = draw(_responses(profile, rendering, scripts(profile=profile, statuses=("failed",)), False))
        body |= {"error": {"code": draw(st.sampled_from(ERROR_CODES)), "message": message}, "model": ""}
    return {**body, **draw(UNKNOWN_MEMBERS)} if unknown else body


def streams(
    *,
    profile: str = DEFAULT_PROFILE,
    rendering: str = "wire",
    kinds: Collection[str] | None = None,
    statuses: Collection[str] | None = None,
    faults: bool = False,
    unknown: bool = False,
    surrogates: bool = False,
) -> SearchStrategy[list[JSONObject]]:
    """Lists of events from `response.created` to one terminal event.

    An empty text may have no deltas. `faults` adds streams that fail before they begin: one lone
    `response.failed`, or one payload without a type. `unknown` adds members and events that the profile
    does not know. Other options as in `scripts`.
    """
    script_strategy = scripts(profile=profile, kinds=kinds, statuses=statuses, surrogates=surrogates)
    whole = streams_from_scripts(
        script_strategy, profile=profile, rendering=rendering, unknown=unknown, with_variants=True
    )
    return whole | _failed_streams(profile, rendering) if faults else whole


@st.composite
def streams_from_scripts(
    draw: DrawFn,
    script_strategy: SearchStrategy[Script],
    *,
    profile: str,
    rendering: str,
    unknown: bool = False,
    with_variants: bool = False,
    variant: str | None = None,
) -> list[JSONObject]:
    """Streams of drawn scripts.

    `with_variants` also draws variants that other servers of the profile may send; `variant` applies one.
    """
    context = render_context(profile, rendering)
    events = render_events(draw(_reply_specs(context, script_strategy)), context)
    if variant is not None:
        events = openresponses_streams.apply_variants(events, (variant,))
    elif with_variants and openresponses.is_open_responses(context.profile):
        events = openresponses_streams.apply_variants(events, draw(openresponses_streams.variant_names()))
    return _add_unknown(draw, events) if unknown else events


@st.composite
def _failed_streams(draw: DrawFn, profile: str, rendering: str) -> list[JSONObject]:
    if openresponses.is_open_responses(load_profile(profile)):
        script_strategy = scripts(profile=profile, statuses=("failed",))
        nothing = script_strategy.map(lambda script: replace(script, items=()))
        return draw(streams_from_scripts(nothing, profile=profile, rendering=rendering))
    body = draw(errors(profile=profile, rendering=rendering))
    if body.get("object") != "response":
        return [body]
    failed = scripts(profile=profile, statuses=("failed",))
    whole = draw(streams_from_scripts(failed, profile=profile, rendering=rendering))
    last = whole[-1]
    last["response"]["output"] = []
    return [{**last, "sequence_number": 0}]


def events(
    *,
    profile: str = DEFAULT_PROFILE,
    rendering: str = "wire",
    types: Collection[str] | None = None,
    unknown: bool = False,
    surrogates: bool = False,
) -> SearchStrategy[JSONObject]:
    """Single events of some stream; `types` selects their types, None stands for all."""
    chosen_types = types if types is None or isinstance(types, str) else tuple(types)
    return _events(profile, rendering, chosen_types, unknown, surrogates)


@st.composite
def _events(
    draw: DrawFn,
    profile: str,
    rendering: str,
    types: tuple[str, ...] | str | None,
    unknown: bool,
    surrogates: bool,
) -> JSONObject:
    kind = draw(st.sampled_from(select_names("types", types, event_types(profile))))
    end = kind.removeprefix("response.")
    ends = script_statuses(profile)
    end = "failed" if kind == "error" else end
    script_strategy = scripts_starting_with(
        profile=profile,
        kinds=_kinds_for_event(kind, render_context(profile, rendering)),
        statuses=(end if end in ends else "completed",),
        surrogates=surrogates,
    )
    variant_name, _ = openresponses_streams.VARIANT_EVENTS.get(kind, (None, ""))
    stream = draw(
        streams_from_scripts(
            script_strategy, profile=profile, rendering=rendering, unknown=unknown, variant=variant_name
        )
    )
    return draw(st.sampled_from([event for event in stream if event["type"] == kind]))


def _kinds_for_event(event_type: str, context: RenderContext) -> tuple[str, ...]:
    """Item kinds whose streams contain such an event."""
    if event_type in openresponses_streams.VARIANT_EVENTS:
        return (openresponses_streams.VARIANT_EVENTS[event_type][1],)
    for start, kind in _ITEM_KIND_BY_EVENT_PREFIX:
        if event_type.startswith(start):
            return (kind,)
    for kind, tool in context.profile.tools.items():
        if event_type in (*tool.before, *tool.events):
            return (kind,)
    return item_kinds(context.profile.name)


_ITEM_KIND_BY_EVENT_PREFIX = (
    ("response.output_text.", "message"),
    ("response.content_part.", "message"),
    ("response.reasoning_", "reasoning"),
    ("response.function_call_arguments.", "function_call"),
)


@st.composite
def _reply_specs(draw: DrawFn, context: RenderContext, script_strategy: SearchStrategy[Script]) -> ReplySpec:
    script = draw(script_strategy)
    model = draw(st.sampled_from(context.profile.models))
    tools = tools_for_script(script, context)
    is_open = openresponses.is_open_responses(context.profile)
    echoes: JSONObject = draw(
        openresponses.echoed_members() if is_open else _echoed_parameters(context.profile.name)
    )
    input_tokens = 30 if script.usage.input_tokens is None else script.usage.input_tokens
    cached = (
        draw(st.sampled_from([None, (0, input_tokens), (input_tokens, 0)]))
        if context.profile.cache_seconds
        else None
    )
    return ReplySpec(
        script,
        model,
        draw(_CREATED_AT),
        draw(_TOOL_CHOICES),
        tools=tools,
        echoed_parameters=echoes,
        cache_tokens=cached,
    )


@cache
def _echoed_parameters(profile: str) -> SearchStrategy[JSONObject]:
    """Some of the request parameters that the response echoes."""
    strategies_by_name = {
        "frequency_penalty": st.sampled_from([0.0, 1.5]),
        "instructions": texts(),
        "metadata": st.dictionaries(st.sampled_from(["a", "type"]), texts(), max_size=2),
        "parallel_tool_calls": st.booleans(),
        "presence_penalty": st.sampled_from([0.0, -1]),
        "store": st.booleans(),
        "temperature": st.sampled_from([0, 0.5]),
        "top_logprobs": st.integers(0, 5),
        "top_p": st.sampled_from([0.5, 1]),
    }
    about = load_profile(profile)
    names = (*about.echoes, *about.echoes_if_given)
    return st.fixed_dictionaries(
        {}, optional={name: strategies_by_name[name] for name in names if name in strategies_by_name}
    )


def _add_unknown(draw: DrawFn, events: list[JSONObject]) -> list[JSONObject]:
    """Add unknown members to the events, and sometimes an unknown event."""
    notes = draw(UNKNOWN_MEMBERS)
    where = draw(st.sampled_from(["events", "responses", "items", "everywhere"]))
    for event in events:
        if where in ("events", "everywhere"):
            event.update(notes)
        response = event.get("response")
        if response is not None and where in ("responses", "everywhere"):
            response.update(notes)
        items = response["output"] if response is not None else [event["item"]] if "item" in event else []
        for item in items if where in ("items", "everywhere") else ():
            item.update(notes)
    if draw(st.booleans()):
        at = draw(st.integers(2, len(events) - 1))
        events.insert(at, {"sequence_number": at, "type": "vendor:note", **notes})
        for number, event in enumerate(events):
            event["sequence_number"] = number
    return events
