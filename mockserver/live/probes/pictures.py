"""A picture to ask about."""

from __future__ import annotations

__all__ = ["TEST_IMAGE"]

#: A red square of 16 by 16 pixels: the service reads none under 10 (limits page, 2026).
TEST_IMAGE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4oKBAEmIY"
    "1TCqYfhqAAC6CAAQxbtsJAAAAABJRU5ErkJggg=="
)
