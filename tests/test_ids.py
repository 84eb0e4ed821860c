"""Ids depend on seed, session, request and occurrence only."""

from __future__ import annotations

import re

from mockserver.ids import IdSource, format_call_id, format_uuid, request_digest

DIGEST = request_digest(b"request")


def test_the_same_request_draws_the_same_ids() -> None:
    assert IdSource(7, "a").draw(DIGEST, 0, 3) == IdSource(7, "a").draw(DIGEST, 0, 3)


def test_a_longer_draw_begins_with_the_shorter() -> None:
    assert IdSource(7).draw(DIGEST, 0, 9)[:2] == IdSource(7).draw(DIGEST, 0, 2)
    assert [len(each) for each in IdSource(7).draw(DIGEST, 0, 9)] == [32] * 9
    assert len(set(IdSource(7).draw(DIGEST, 0, 9))) == 9


def test_seed_session_request_and_occurrence_each_change_all_ids() -> None:
    draws = [
        IdSource(7, "a").draw(DIGEST, 0, 2),
        IdSource(8, "a").draw(DIGEST, 0, 2),
        IdSource(7, "b").draw(DIGEST, 0, 2),
        IdSource(7, "a").draw(DIGEST, 1, 2),
        IdSource(7, "a").draw(request_digest(b"other"), 0, 2),
        IdSource(None, "a").draw(DIGEST, 0, 2),
        IdSource(None, "a").draw(DIGEST, 0, 2),
    ]
    assert len({each for draw in draws for each in draw}) == 2 * len(draws)


def test_id_formats() -> None:
    digits = IdSource(1).draw(DIGEST, 0, 1)[0]
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-9[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", format_uuid(digits)
    )
    assert re.fullmatch(r"call_[0-9a-f]{24}", format_call_id(digits))
