"""Broken streams: legal ones with one edit, and the rule that it breaks."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import DrawFn

from mockserver.contract.findings import Severity
from mockserver.contract.rules import load_rules
from mockserver.errors import ConfigurationError
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile
from mockserver.replies import mutants
from mockserver.testing.strategies.replies import streams_from_scripts
from mockserver.testing.strategies.scripts import item_kinds, scripts_starting_with
from mockserver.testing.strategies.values import JSONObject

__all__ = ["breakable_rules", "broken_streams"]


def breakable_rules(profile: str = DEFAULT_PROFILE) -> tuple[str, ...]:
    """Rules that a stream alone can break, whatever was asked, by a profile's rules."""
    about = load_profile(profile)
    known = (rule for rule in mutants.rules_for("stream") if not rule.startswith("REQ-"))
    rules = load_rules()
    later = [] if mutants.has_later_members(about) else ["SCH-004"]
    return tuple(rule for rule in known if rules[rule].applies_to(about.name) and rule not in later)


@st.composite
def broken_streams(
    draw: DrawFn, *, rule: str | None = None, profile: str = DEFAULT_PROFILE, rendering: str = "wire"
) -> tuple[list[JSONObject], str]:
    """(events, id of the rule they break): streams with one thing wrong.

    `rule` is the one to break, of any severity; None draws among those whose breach is an error. Whatever
    is drawn brings a finding by that rule, and as little else as can be.
    """
    known = breakable_rules(profile)
    if rule is None:
        severe = [each for each in known if load_rules()[each].severity is Severity.ERROR]
        rule = draw(st.sampled_from(severe))
    elif rule not in known:
        listed = ", ".join(known)
        raise InvalidArgument(f"rule={rule!r}: no stream can be made to break it; there are: {listed}")
    mutant = mutants.find_mutant("stream", rule)
    kinds = item_kinds(profile)
    needs = tuple(
        draw(st.sampled_from(_kinds_for(need, load_profile(profile)))) for need in mutant.required_items
    )
    said = scripts_starting_with(profile=profile, kinds=kinds, first_kinds=needs)
    events = draw(streams_from_scripts(said, profile=profile, rendering=rendering))
    pick = draw(st.integers(0, 9999))
    return mutant.apply(events, load_profile(profile), pick), rule


def _kinds_for(need: str, profile: Profile) -> tuple[str, ...]:
    """Kinds of items that meet a mutant's need."""
    if need == "item":
        return item_kinds(profile.name)
    if need == "tool":
        reporting = tuple(kind for kind, tool in profile.tools.items() if tool.events)
        if not reporting:
            raise ConfigurationError(f"{profile.name} has no tool that reports its progress")
        return reporting
    return (need,)
