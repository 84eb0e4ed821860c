"""Warnings about recordings: old, undated, cut, or of another profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mockserver.exchanges import Exchange
from mockserver.profiles import latest_profile_name, load_profile, profile_names

__all__ = ["DEFAULT_MAX_AGE_DAYS", "days_since_recorded", "recording_warnings"]

#: Age in days from which a recording may be outdated.
DEFAULT_MAX_AGE_DAYS = 30


def days_since_recorded(exchange: Exchange, now: datetime) -> int | None:
    """Whole days since the recording; None if it has no valid date."""
    if exchange.recorded is None:
        return None
    try:
        recorded_at = datetime.fromisoformat(exchange.recorded.at)
    except ValueError:  # such as the 31st of February
        return None
    return (now - recorded_at).days


def recording_warnings(
    exchanges: Sequence[Exchange],
    profile: str,
    max_age_days: int = DEFAULT_MAX_AGE_DAYS,
    now: datetime | None = None,
) -> Iterator[str]:
    """The warnings about a set of recordings, one line each."""
    now = now or datetime.now(UTC)
    days = [days_since_recorded(each, now) for each in exchanges]
    old = [each for each in days if each is not None and each > max_age_days]
    if old:
        yield (
            f"{_counted(len(old))} older than {max_age_days} days (oldest: {max(old)} days); "
            "check them with `mockserver verify --replay`"
        )
    if undated := sum(each is None for each in days):
        yield f"{_counted(undated)} without a date"
    yield from _profile_warnings(exchanges, profile)
    ends = Counter(each.recorded.end for each in exchanges if each.recorded)
    if ends["cut"]:
        yield f"{_counted(ends['cut'])} cut by the endpoint; the replay is cut there too"
    if ends["left"]:
        yield f"{_counted(ends['left'])} not read to the end by the client; the replay is cut there"


def _profile_warnings(exchanges: Sequence[Exchange], profile: str) -> Iterator[str]:
    names, latest = profile_names(), load_profile(latest_profile_name())
    for name, count in sorted(Counter(each.profile or "" for each in exchanges).items()):
        if name and name not in names:
            yield f"{_counted(count)} with the unknown profile {name}"
        elif name and name != profile:
            yield f"{_counted(count)} with the profile {name}, checked against {profile}"
        elif name and load_profile(name).models and load_profile(name).date < latest.date:
            yield f"{_counted(count)} with the profile {name}, which is older than {latest.name}"


def _counted(number: int) -> str:
    return "1 recording" if number == 1 else f"{number} recordings"
