"""Suggest the name that a user probably meant: "did you mean 'stall'?"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["choose_from", "did_you_mean", "find_nearest"]

#: Similarity, from 0 to 1, from which a name is a near miss.
_MIN_SIMILARITY = 0.65
#: The most similar names, among which one with the same letters is the nearest.
_COMPARED_MATCHES = 5
_LEADING_ZEROS = r"(?<![0-9])0+(?=[0-9])"
#: Longer names are not compared: the time grows with the square of their length.
_MAX_LENGTH = 100
#: Names to list after a suggestion: a longer list would hide it.
_MAX_LISTED_AFTER_SUGGESTION = 20
#: Names to list without a suggestion.
_MAX_LISTED = 200


def find_nearest(name: str, known: Iterable[str], min_similarity: float = _MIN_SIMILARITY) -> str | None:
    """Return the known name most similar to `name`, ignoring case and punctuation; None if there is none.

    >>> find_nearest("websearch", ["web_search", "web_extractor"])
    'web_search'
    """
    return _find_nearest(name, tuple(known), min_similarity) if 0 < len(name) <= _MAX_LENGTH else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?", or an empty text if no known name is similar."""
    nearest = find_nearest(name, known)
    return "" if nearest is None else f"; did you mean {nearest!r}?"


def choose_from(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the most similar known name, and the choices.

    >>> "no fault 'stal'" + choose_from("stal", ["reset", "stall"])
    "no fault 'stal'; did you mean 'stall'? Choose from: reset, stall"
    """
    names = tuple(known)
    if not names:
        return "; there are none"
    suggestion = did_you_mean(name, names)
    if suggestion and len(names) > _MAX_LISTED_AFTER_SUGGESTION:
        return suggestion
    omitted = len(names) - _MAX_LISTED
    listed = ", ".join(names[:_MAX_LISTED]) + (f" and {omitted} more" if omitted > 0 else "")
    return f"{suggestion} Choose from: {listed}" if suggestion else f"; choose from: {listed}"


@lru_cache(maxsize=1024)
def _find_nearest(name: str, known: tuple[str, ...], min_similarity: float) -> str | None:
    from difflib import get_close_matches  # only needed for errors and warnings

    numbers = _numbers(name)
    by_plain_name = {
        _plain(each): each
        for each in reversed(known)
        if each != name and _numbers(each)[: len(numbers)] == numbers  # SEQ-999 does not mean SEQ-009
    }
    plain = _plain(name)
    matches = get_close_matches(plain, by_plain_name, _COMPARED_MATCHES, min_similarity)
    # Two letters in the wrong order are a more likely mistake than another letter.
    swapped = (each for each in matches if sorted(each) == sorted(plain))
    nearest = next(swapped, matches[0] if matches else None)
    return None if nearest is None else by_plain_name[nearest]


def _plain(name: str) -> str:
    return "".join(each for each in re.sub(_LEADING_ZEROS, "", name.casefold()) if each.isalnum())


def _numbers(name: str) -> list[str]:
    return re.findall(r"[0-9]+", re.sub(_LEADING_ZEROS, "", name))
