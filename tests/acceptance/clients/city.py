"""The structured output that the Python drivers request."""

from __future__ import annotations

from pydantic import BaseModel  # type: ignore[import-not-found, unused-ignore]


class City(BaseModel):  # type: ignore[misc, unused-ignore]
    """A city."""

    city: str
    population: int
