"""Strategy for the bytes of a stream, cut into chunks as a network may cut them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import DrawFn

from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.replies.framing import encode_events, to_json_text
from mockserver.testing.strategies.values import JSONObject, select_names
from mockserver.wire import sse

__all__ = ["CHUNKINGS", "FRAMINGS", "encode_events", "sse_bytes"]

#: Ways to cut bytes into chunks: anywhere, one event each, one byte each, not at all.
CHUNKINGS = ("cuts", "events", "bytes", "whole")
FRAMINGS = ("profile", "plain", "any")


@st.composite
def sse_bytes(
    draw: DrawFn,
    stream: list[JSONObject],
    *,
    chunking: str | None = None,
    framing: str = "profile",
    profile: str = DEFAULT_PROFILE,
) -> list[bytes]:
    """The bytes of a stream (a list of events, not a strategy), as a list of chunks.

    `chunking` is "whole", "events" (one frame each), "bytes" (one byte each) or "cuts" (at drawn positions,
    also within lines and characters); None draws among them. `framing` is "profile" (as the service writes
    frames), "plain" (`event` and `data`), or "any", which draws line ends, spaces and comments that the
    standard for server-sent events allows without a change of meaning.
    """
    selected = draw(
        st.sampled_from(select_names("chunking", None if chunking is None else (chunking,), CHUNKINGS))
    )
    if framing not in FRAMINGS:
        raise InvalidArgument(f"framing={framing!r} is not among {', '.join(FRAMINGS)}")
    loaded = load_profile(profile)
    frames = [_any_frame(draw, event) for event in stream] if framing == "any" else None
    frames = frames or encode_events(stream, profile if framing == "profile" else None)
    if loaded.done_marker:
        frames.append(sse.encode(sse.DONE_DATA))
    if selected == "events":
        return frames
    data = b"".join(frames)
    if selected == "bytes":
        return [data[at : at + 1] for at in range(len(data))]
    if selected == "whole" or not data:
        return [data]
    cuts = sorted(set(draw(st.lists(st.integers(1, max(1, len(data) - 1)), max_size=6))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _any_frame(draw: DrawFn, event: JSONObject) -> bytes:
    """A frame in one of the forms that the standard allows."""
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    space = draw(st.sampled_from([b" ", b""]))
    before = draw(st.sampled_from([b"", b": keep-alive" + end + end, b":" + end]))
    lines = [b"data:" + space + to_json_text(event).encode()]
    if "type" in event:
        lines.insert(draw(st.sampled_from([0, 1])), b"event:" + space + str(event["type"]).encode())
    return before + end.join(lines) + end + end
