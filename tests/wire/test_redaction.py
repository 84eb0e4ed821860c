"""Redaction of texts, bodies, values, headers and replies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.errors import ConfigurationError
from mockserver.wire import json
from mockserver.wire.masks import NO_MASKS, parse_masks
from mockserver.wire.redaction import (
    MASK,
    REDACTED,
    find_credentials,
    mask_reply,
    mask_request,
    redact,
    redact_body,
    redact_headers,
    redact_url,
    redact_value,
    require_maskable_key,
)

SECRET = "canary-4f1d2c7b9e"
#: Each place of the table, with the secret in it.
REQUESTS: dict[str, dict[str, Any]] = {
    "header": {"tools": [{"type": "mcp", "headers": {"X-Any": SECRET}}]},
    "bearer": {"tools": [{"type": "mcp", "headers": {"Authorization": f"Bearer {SECRET}"}}]},
    "nested header": {"tools": [{"type": "mcp", "headers": {"X-Any": [{"a": SECRET}]}}]},
    "authorization": {"tools": [{"type": "mcp", "authorization": SECRET}]},
    "any query of a server": {"tools": [{"type": "mcp", "server_url": f"https://h/sse?some={SECRET}&b=c"}]},
    "user": {"tools": [{"type": "mcp", "server_url": f"https://me:{SECRET}@h/sse"}]},
    "OSS": {"input": [{"content": [{"type": "input_image", "image_url": f"https://h/a?OSSAccessKeyId={SECRET}"}]}]},
    "S3": {"input": [{"content": [{"type": "input_file", "file_url": f"https://h/a?X-Amz-Signature={SECRET}"}]}]},
    "token": {"input": [{"content": [{"type": "input_audio", "audio_url": f"https://h/?x=1&token={SECRET}"}]}]},
    "video": {"input": [{"content": [{"type": "input_video", "video_url": f"https://h/?Signature={SECRET}#t"}]}]},
    "prompt": {"input": f"Look at https://h/?access_token={SECRET}, please."},
}  # fmt: skip


@pytest.mark.parametrize("request_value", REQUESTS.values(), ids=REQUESTS)
def test_credentials_are_redacted_in_values_texts_and_bytes(request_value: Any) -> None:
    text = json.dumps(request_value).decode()
    assert SECRET in text
    assert SECRET in find_credentials(text.encode())
    clean, found = mask_request(request_value)
    assert SECRET in found
    assert SECRET not in json.dumps(clean).decode()
    assert SECRET not in json.dumps(redact_value(request_value)).decode()
    for body in (text, text[: text.index(SECRET) + len(SECRET)], f"data: {text}\n\n", f'{{"a":1,}}{text}'):
        assert SECRET not in redact_body(body)
    (masked,) = mask_reply([text.encode()])
    assert len(masked) == len(text)
    assert SECRET.encode() not in masked
    assert json.loads(masked).keys() == request_value.keys()


def test_credentials_may_be_written_in_escapes() -> None:
    url = "https:\\/\\/h\\/?\\u006bey=canary-1"
    tool = f'{{"\\u0068eaders":{{"a":"x"}},"server_url":"{url}"}}'
    body = f'{{"tools":[{tool}],"b":"sk-\\u0061bcdefghijklmnop"}}'
    clean = redact_body(body)
    assert "canary" not in clean
    assert '"x"' not in clean
    assert "bcdefg" not in clean
    (masked,) = mask_reply([body.encode()])
    assert len(masked) == len(body)
    assert json.loads(masked)["b"] == "[redacted]*********"
    assert b"canary" not in masked


def test_a_finding_is_redacted_by_its_pointer_and_when_it_is_shortened() -> None:
    headers = {"Authorization": SECRET}
    assert redact_value(SECRET, pointer="/tools/0/headers/X") == MASK
    assert redact_value(headers, pointer="/tools/0/headers") == {"Authorization": MASK}
    shortened = '{"type":"mcp","headers":{"Authorization":"Bearer can…'
    assert "can" not in redact_value(shortened, pointer="/tools/0")
    assert redact("it says Bearer canary-4f1…", [SECRET]) == f"it says Bearer {REDACTED}…"


def test_data_urls_and_plain_urls_stay() -> None:
    text = '{"image_url":"data:image/png;base64,iVBORw0KGgo=","file_url":"https://example.com/a.png?size=3&page=token"}'
    assert redact_body(text) == text
    assert find_credentials(text.encode()) == ()
    assert redact_url("/v1/responses?after=x&api_key=abc") == f"/v1/responses?after=x&api_key={REDACTED}"


def test_secrets_and_key_shaped_text_are_redacted() -> None:
    text = redact("use secret! and sk-abc123 and sk-ws-x_y-z, not task-list", ["secret!", ""])
    assert text == f"use {REDACTED} and {REDACTED} and {REDACTED}, not task-list"


def test_a_short_key_is_masked_only_as_a_word() -> None:
    assert redact("token, input_tokens and Token", ["token"]) == f"{REDACTED}, input_tokens and Token"
    body = b'{"type":"input_token","token":"a token"}'
    assert mask_reply([body], ["token"]) == [body]
    named = b'{"response-tokens-used":7,"text":"my response-tokens"}'
    assert mask_reply([named], ["response-tokens"]) == [
        named.replace(b"my response-tokens", b"my [redacted]*****")
    ]


def test_only_public_headers_keep_their_values() -> None:
    headers = [
        (b"Authorization", b"Bearer k"),
        (b"X-Api-Key", b"k"),
        (b"X-Team", b"k"),
        (b"OpenAI-Organization", b"org-1"),
        (b"Cookie", b"a=b"),
        (b"User-Agent", b"me sk-12345"),
        (b"Location", b"/files?size=3&Signature=k"),
    ]
    assert redact_headers(headers) == {
        "authorization": REDACTED,
        "x-api-key": REDACTED,
        "x-team": REDACTED,
        "openai-organization": REDACTED,
        "cookie": REDACTED,
        "user-agent": f"me {REDACTED}",
        "location": f"/files?size=3&Signature={REDACTED}",
    }


@pytest.mark.parametrize(
    "name", ["Content-Encoding", "x-request-id", "traceparent", "x-stainless-os", "idempotency-key"]
)
def test_headers_that_describe_the_message_are_shown(name: str) -> None:
    assert redact_headers([(name.encode(), b"00-a gzip")]) == {name.lower(): "00-a gzip"}


@given(
    pieces=st.lists(st.binary(max_size=9), max_size=6),
    secret=st.sampled_from(["secret-7-and-more!", "secret-8"]),
    at=st.integers(0, 40),
)
def test_a_secret_across_chunks_is_masked_in_the_same_length(
    pieces: list[bytes], secret: str, at: int
) -> None:
    whole = b"".join(pieces)
    whole = whole[:at] + secret.encode() + whole[at:]
    cut, begin = [], 0
    for piece in (*pieces, secret.encode()):
        cut.append(whole[begin : begin + len(piece)])
        begin += len(piece)
    clean = mask_reply(cut, [secret])
    assert secret.encode() not in b"".join(clean)
    assert [*map(len, clean)] == [*map(len, cut)]


@given(st.binary(max_size=200), st.booleans())
def test_bytes_without_secrets_stay_as_they_are(data: bytes, as_value: bool) -> None:
    if as_value:
        data = json.dumps({"delta": data.decode("latin-1"), "a": [data.decode("latin-1"), 1, None]})
    assert mask_reply([data], ["canary-4f1d2c7b9e"]) == [data]


@pytest.mark.parametrize("size", [1, 2, 5, 11])
def test_a_secret_across_deltas_is_masked_in_each_text(size: int) -> None:
    def event(index: int, text: str) -> dict[str, Any]:
        return {
            "type": "response.output_text.delta",
            "delta": text,
            "output_index": index,
            "content_index": 0,
        }

    pieces = [SECRET[at : at + size] for at in range(0, len(SECRET), size)]
    events = [each for text in pieces for each in (event(0, text), event(1, "other "))]
    chat = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in pieces]
    calls = [{"choices": [{"index": 0, "delta": {"tool_calls": [each]}}]} for each in _call_deltas(pieces)]
    for values in (events, chat, calls):
        stream = b"".join(b"data: " + json.dumps(each) + b"\n\n" for each in values)
        for clean in (mask_reply([stream], [SECRET])[0].decode(), redact_body(stream.decode(), [SECRET])):
            shown = [_delta_text(line) for line in clean.split("\n\n") if line]
            mine = "".join(each for each in shown if each != "other ")
            assert len(mine) == len(SECRET)
            assert "canary" not in mine
            assert mine[-3:] in ("***", "•••")
            assert shown.count("other ") == (len(pieces) if values is events else 0)


@pytest.mark.parametrize("text", [SECRET, SECRET[:-1], SECRET[:8], f"so far: {SECRET[:12]}", "sk-a1b2c3d4"])
def test_a_delta_by_itself_shows_no_secret(text: str) -> None:
    event = {"type": "response.output_text.delta", "delta": text, "output_index": 0}
    for value in (event, {"delta": text}, {"choices": [{"index": 0, "delta": {"content": text}}]}):
        shown = _delta_text(redact_body(json.dumps(value).decode(), [SECRET]))
        assert SECRET[:8] not in shown
        assert "a1b2" not in shown
        assert len(shown) == len(text)


def test_pieces_of_a_secret_in_one_delta_are_joined() -> None:
    for separator in (" ", ","):
        clean = redact_body(f'{{"delta": "{SECRET[:7]}"{separator}"{SECRET[7:]}"}}', [SECRET])
        assert SECRET[:7] not in clean


def _call_deltas(pieces: list[str]) -> Iterator[dict[str, Any]]:
    """The deltas of a call in Chat Completions; only the first has the type and the name."""
    yield {"index": 0, "type": "function", "function": {"name": "x", "arguments": ""}}
    yield from ({"index": 0, "function": {"arguments": each}} for each in pieces)


def _delta_text(line: str) -> str:
    event = json.loads(line.removeprefix("data: ").encode())
    if "delta" in event:
        return str(event["delta"])
    delta = event["choices"][0]["delta"]
    return str(delta["content"] if "content" in delta else delta["tool_calls"][0]["function"]["arguments"])


def test_long_keys_are_masked_and_words_are_not() -> None:
    text = b"use sk-0123456789abcdef01 with sk-learn, and mask-work"
    (clean,) = mask_reply([text])
    assert clean == b"use [redacted]*********** with sk-learn, and mask-work"
    assert mask_reply([b"nothing"]) == [b"nothing"]


def test_secrets_are_found_in_json_and_url_encodings() -> None:
    secret = 'ab/c"d-and-more'
    for written in ('ab/c\\"d-and-more', 'ab\\/c\\"d-and-more', "ab%2Fc%22d-and-more", secret):
        assert redact(f"<{written}>", [secret]) == f"<{REDACTED}>"


def test_masks_are_pointers_and_patterns() -> None:
    masks = parse_masks(["/metadata/user", "regex:[\\w.]+@example\\.com"])
    value = {"metadata": {"user": 7, "team": "user"}, "input": "Write to me.me@example.com today"}
    clean, found = mask_request(value, (), masks)
    assert clean == {
        "metadata": {"user": MASK, "team": "user"},
        "input": f"Write to {REDACTED} today",
    }
    assert found == ("me.me@example.com",)
    reply = b'{"response":{"metadata":{"user":77},"output":"me.me@example.com"}}'
    assert mask_reply([reply], (), masks) == [
        b'{"response":{"metadata":{"user":""},"output":"[redacted]*******"}}'
    ]
    assert masks.union(NO_MASKS) == masks
    assert masks.union(parse_masks(["/a"])).as_options == (*masks.as_options[:1], "/a", *masks.as_options[1:])


def test_words_of_the_api_in_a_masked_value_stay_in_the_reply() -> None:
    content = [{"type": "output_text", "text": "a private text"}]
    request = {"input": [{"type": "message", "role": "assistant", "status": "completed", "content": content}]}
    for pointer in ("/input/*/content", "/input"):
        found = mask_request(request, (), parse_masks([pointer]))[1]
        assert found == ("a private text",)
        reply = b'{"type":"response.output_text.delta","status":"completed","delta":"a private text"}'
        (clean,) = mask_reply([reply], found)
        assert clean == reply.replace(b"a private text", b"[redacted]****")


@pytest.mark.parametrize("option", ["user", "", "/a\x00", "regex:(", "regex:a*"])
def test_invalid_masks_are_refused(option: str) -> None:
    with pytest.raises(ConfigurationError, match="--mask"):
        parse_masks([option])


def test_patterns_take_linear_time() -> None:
    masks = parse_masks(["regex:(x+x+)+y"])
    assert mask_request("x" * 50_000, (), masks)[0] == "x" * 50_000


def test_keys_below_eight_characters_are_refused() -> None:
    assert require_maskable_key("12345678", "KEY") == "12345678"
    with pytest.raises(ConfigurationError, match="KEY is shorter than 8 characters"):
        require_maskable_key("1234567", "KEY")


def test_credentials_of_a_large_request_are_found_too() -> None:
    request = {
        "input": ["x"] * 40_000,
        "tools": REQUESTS["header"]["tools"],
        "a": f"https://h/?sig={SECRET}-2",
    }
    body = json.dumps(request)
    assert set(find_credentials(body)) == {SECRET, f"{SECRET}-2"}
    assert set(find_credentials(body.replace(b"//", b"\\/\\/"))) == {SECRET, f"{SECRET}-2"}
    assert SECRET not in redact_body(body.decode())
