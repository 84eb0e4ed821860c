"""Strategy for streams that break one rule, with the id of that rule."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import DrawFn

from mockserver.contract.findings import Severity
from mockserver.contract.rules import load_rules
from mockserver.errors import ConfigurationError
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile
from mockserver.replies import mutants
from mockserver.suggestions import choose_from
from mockserver.testing.strategies.replies import streams_from_scripts
from mockserver.testing.strategies.scripts import item_kinds, scripts_starting_with
from mockserver.testing.strategies.values import JSONObject

__all__ = ["breakable_rules", "broken_streams"]


def breakable_rules(profile: str = DEFAULT_PROFILE) -> tuple[str, ...]:
    """Rules of a profile that a stream can break by itself, whatever the request."""
    loaded = load_profile(profile)
    breakable = (rule for rule in mutants.rules_for("stream") if not rule.startswith("REQ-"))
    rules = load_rules()
    absent = [] if mutants.has_later_members(loaded) else ["SCH-004"]
    return tuple(rule for rule in breakable if rules[rule].applies_to(loaded.name) and rule not in absent)


@st.composite
def broken_streams(
    draw: DrawFn, *, rule: str | None = None, profile: str = DEFAULT_PROFILE, rendering: str = "wire"
) -> tuple[list[JSONObject], str]:
    """(events, rule id): streams with one edit that breaks one rule.

    `rule` is the rule to break, of any severity; None draws among the rules of severity error. Each stream
    has a finding by its rule, and as few others as possible.
    """
    breakable = breakable_rules(profile)
    if rule is None:
        error_rules = [
            each for each in breakable if load_rules()[each].severity_for(profile) is Severity.ERROR
        ]
        rule = draw(st.sampled_from(error_rules))
    elif rule not in breakable:
        raise InvalidArgument(f"rule={rule!r}: no stream can break it{choose_from(rule, breakable)}")
    mutant = mutants.find_mutant("stream", rule)
    kinds = item_kinds(profile)
    first_kinds = tuple(
        draw(st.sampled_from(_kinds_for(need, load_profile(profile)))) for need in mutant.required_items
    )
    script_strategy = scripts_starting_with(profile=profile, kinds=kinds, first_kinds=first_kinds)
    events = draw(streams_from_scripts(script_strategy, profile=profile, rendering=rendering))
    pick = draw(st.integers(0, 9999))
    return mutant.apply(events, load_profile(profile), pick), rule


def _kinds_for(need: str, profile: Profile) -> tuple[str, ...]:
    """Item kinds that satisfy a mutant's requirement."""
    if need == "item":
        return item_kinds(profile.name)
    if need == "tool":
        reporting = tuple(kind for kind, tool in profile.tools.items() if tool.events)
        if not reporting:
            raise ConfigurationError(f"{profile.name} has no tool that reports its progress")
        return reporting
    return (need,)
