"""How old recordings are, and whether they are of the age that is played: what to be warned of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mockserver.exchanges import Exchange
from mockserver.profiles import latest_profile_name, load_profile, profile_names

__all__ = ["DEFAULT_MAX_AGE_DAYS", "days_since_recorded", "recording_warnings"]

#: Days after which a recording may no longer be what the service says.
DEFAULT_MAX_AGE_DAYS = 30


def days_since_recorded(exchange: Exchange, now: datetime) -> int | None:
    """Whole days since it was taken; None where it does not say when."""
    if exchange.recorded is None:
        return None
    try:
        taken = datetime.fromisoformat(exchange.recorded.at)
    except ValueError:  # the 31st of February
        return None
    return (now - taken).days


def recording_warnings(
    exchanges: Sequence[Exchange],
    profile: str,
    max_age_days: int = DEFAULT_MAX_AGE_DAYS,
    now: datetime | None = None,
) -> Iterator[str]:
    """What to be warned of, a line each; `max_age` in days."""
    now = now or datetime.now(UTC)
    ages = [days_since_recorded(each, now) for each in exchanges]
    old = [age for age in ages if age is not None and age > max_age_days]
    if old:
        yield (
            f"{_counted(len(old))} older than {max_age_days} days, the oldest {max(old)}: "
            "`mockserver verify --replay` tells whether the service still says that"
        )
    if undated := sum(age is None for age in ages):
        yield f"{_counted(undated)} without a date"
    yield from _profile_warnings(exchanges, profile)
    broken = Counter(each.recorded.end for each in exchanges if each.recorded)
    if broken["cut"]:
        yield f"{_counted(broken['cut'])} of an answer that the endpoint broke off: it breaks off again"
    if broken["left"]:
        yield f"{_counted(broken['left'])} of an answer whose end no client waited for: it breaks off there"


def _profile_warnings(exchanges: Sequence[Exchange], profile: str) -> Iterator[str]:
    known, latest = profile_names(), load_profile(latest_profile_name())
    for name, count in sorted(Counter(each.profile or "" for each in exchanges).items()):
        if name and name not in known:
            yield f"{_counted(count)} of the profile {name}, which there is not"
        elif name and name != profile:
            yield f"{_counted(count)} of the profile {name}, judged by {profile}"
        elif name and load_profile(name).models and load_profile(name).date < latest.date:
            yield f"{_counted(count)} of {name}, an age before {latest.name}"


def _counted(number: int) -> str:
    return "1 recording" if number == 1 else f"{number} recordings"
