"""Looking stubs and exchanges up gives what comparing a request with each of them gives."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.exchanges import Exchange, parse_exchanges
from mockserver.profiles import load_profile
from mockserver.replies.script import message_script
from mockserver.server.request_facts import parse_request
from mockserver.server.stubs import matcher_index
from mockserver.server.stubs.exchange_index import ExchangeIndex, exchange_matcher
from mockserver.server.stubs.matcher_index import TextSearch
from mockserver.server.stubs.matchers import IncomingRequest, Matcher, build_matcher
from mockserver.server.stubs.stubs import Stub, StubRegistry
from mockserver.wire import json
from tests.call_counts import count_calls

PROFILE = load_profile("qwen-2026-01")
REPLY = message_script("Hi.")

# Few values, so that many stubs match a request.
MODELS = ("qwen3-max-2026-01-23", "qwen-flash")
PROMPTS = ("a", "ab ab", "aß", "ASS", "sS b", "abab abab", "abab abab abab abab abab abab abab abab")
PARTS = ("a", "ab", "ß", "ss", "S", "b", "abab", "b abab", "bab ab")
WORDS = ("a", "b")
SCALARS = (0, 1, 1.0, True, None, "a", [1])
TOOLS = ({"type": "web_search"}, *({"type": "function", "name": name, "parameters": {}} for name in WORDS))


def random_object(random: Random, depth: int = 2) -> dict[str, Any]:
    def value() -> Any:
        return random_object(random, depth - 1) if depth and random.random() < 0.4 else random.choice(SCALARS)

    return {name: value() for name in WORDS if random.random() < 0.6}


CONDITIONS: dict[str, Callable[[Random], Any]] = {
    "prompt": lambda random: random.choice(PROMPTS),
    "contains": lambda random: random.choice(("", *PARTS)),
    "ignore_case": lambda random: random.random() < 0.7,
    "instructions": lambda random: random.choice(("", *PARTS)),
    "model": lambda random: random.choice(MODELS),
    "tool": lambda random: random.choice(("function", "web_search", "a", "b", "")),
    "tools": lambda random: sorted(random.sample(("function", "web_search"), random.randint(0, 2))),
    "thinking": lambda random: random.random() < 0.5,
    "tool_output": lambda random: random.choice(("", *PARTS)),
    "turn": lambda random: random.randint(1, 2),
    "after": lambda random: random.choice(WORDS),
    "stream": lambda random: random.random() < 0.5,
    "header": lambda random: {random.choice(("X-A", "x-b")): random.choice(("1", "é", "€"))},
    "json_subset": random_object,
}


def random_conditions(random: Random) -> dict[str, Any]:
    names = random.sample(sorted(CONDITIONS), random.choice((0, 1, 1, 2, 2, 3)))
    return {name: CONDITIONS[name](random) for name in names}


def random_matcher(random: Random) -> Matcher:
    if random.random() < 0.1:
        return build_matcher(predicate=lambda request: len(request.prompt) > 3)
    return build_matcher(**random_conditions(random))


def random_request(random: Random) -> IncomingRequest:
    prompt, output = random.choice(PROMPTS), random.choice(PROMPTS)
    items = [
        {"role": "user", "content": prompt},
        {"type": "function_call_output", "call_id": "call_1", "output": output},
    ]
    body = random_object(random) | {
        "model": random.choice(MODELS),
        "input": prompt if random.random() < 0.7 else items,
        "stream": random.random() < 0.5,
        "tools": random.sample(TOOLS, random.choice((0, 0, 1, 2))),
        "instructions": random.choice(PROMPTS),
    }
    headers = {name: random.choice((b"1", b"\xe9", b"?")) for name in (b"x-a", b"x-b")}
    facts = parse_request(body, PROFILE)
    return IncomingRequest(body, facts, headers, random.choice((None, *WORDS)), random.randint(1, 2))


class LinearStubs:
    """Stubs that are compared with a request one after the other, and the registry that is under test."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.registry = StubRegistry()
        self.stubs: list[Stub] = []

    def new(self) -> Stub:
        times = self.random.choice((1, 1, 2, None))
        return self.registry.add(REPLY, times=times, matcher=random_matcher(self.random))

    def add(self) -> None:
        self.stubs.append(self.new())

    def take(self) -> None:
        request = random_request(self.random)
        matching = (
            stub for stub in self.stubs if not stub.is_exhausted and stub.definition.matcher.matches(request)
        )
        assert next(matching, None) is self.registry.take(request)

    def take_by_name(self) -> None:
        stub = self.random.choice(self.stubs)
        expected = None if stub.is_exhausted else stub
        assert self.registry.take_by_name(stub.name) is expected

    def remove(self) -> None:
        removed = self.stubs.pop(self.random.randrange(len(self.stubs)))
        self.registry.remove(removed.name)

    def reorder(self) -> None:
        self.random.shuffle(self.stubs)
        self.registry.reorder([stub.name for stub in self.stubs])

    def replace(self) -> None:
        place, new = self.random.randrange(len(self.stubs)), self.new()
        self.registry.replace(self.stubs[place].name, new)
        self.stubs[place] = new

    def change_times(self) -> None:
        stub = self.random.choice(self.stubs)
        stub.times(max(stub.call_count + self.random.randint(0, 1), 1))

    def clear(self) -> None:
        self.registry.clear()
        self.stubs = []


@settings(max_examples=60, derandomize=True)
@given(st.integers(0))
def test_a_stub_answers_if_it_is_the_first_that_matches(seed: int) -> None:
    random = Random(seed)
    linear = LinearStubs(random)
    if random.random() < 0.2:
        linear.add()
        linear.clear()
    changes = (linear.remove, linear.reorder, linear.replace, linear.change_times, linear.take_by_name)
    for _ in range(random.choice((5, 20, 80))):
        linear.add()
    for _ in range(40):
        linear.take()
        linear.add()
        if random.random() < 0.3:
            random.choice(changes)()
        assert linear.registry.all == tuple(linear.stubs)


def is_exchange_match(exchange: Exchange, request: IncomingRequest) -> bool:
    """Whether an exchange's conditions hold, and those that follow from what it does not give."""
    match, facts = exchange.match, request.facts
    if not exchange_matcher(match).matches(request):
        return False
    if match.unrestricted:
        return True
    thinking_by_default = PROFILE.thinking[facts.model] != "off"
    conditions = (match.tools, match.tool, match.tool_output, match.json_subset)
    any_tools = any(each is not None for each in conditions)
    return (
        facts.has_function_output is (match.tool_output is not None)
        and (match.thinking is not None or facts.thinking is thinking_by_default)
        and bool(any_tools or not facts.declared_tool_types)
    )


@settings(max_examples=60, derandomize=True)
@given(st.integers(0))
def test_an_exchange_answers_if_it_is_the_first_that_matches(seed: int) -> None:
    random = Random(seed)
    documents = [
        {
            "name": f"exchange-{number}",
            "reply": "Hi.",
            "match": random.choice((random.choice(PROMPTS), random_conditions(random))),
            "times": random.choice((1, 2, "always")),
        }
        for number in range(random.choice((5, 40)))
    ]
    exchanges = parse_exchanges(json.dumps(documents), "file.json")
    index = ExchangeIndex(exchanges, PROFILE)
    counts = {each.name: 0 for each in exchanges}
    for _ in range(30):
        request = random_request(random)
        matching = (
            each
            for each in exchanges
            if (each.times is None or counts[each.name] < each.times) and is_exchange_match(each, request)
        )
        exchange = next(matching, None)
        assert index.take(request) == exchange
        if exchange is not None:
            counts[exchange.name] += 1


def request_for(number: int) -> IncomingRequest:
    text = f"city {number:04}"
    tool = {"type": "function", "name": text, "parameters": {}}
    body = {
        "model": MODELS[0],
        "input": f"Is it warm in {text}?",
        "instructions": text,
        "tools": [tool],
        "a": text,
    }
    return IncomingRequest(body, parse_request(body, PROFILE), {b"x-a": text.encode()}, text, number)


@pytest.mark.parametrize(
    "condition",
    [
        lambda text: {"prompt": f"Is it warm in {text}?"},
        lambda text: {"contains": text},
        lambda text: {"contains": text.upper(), "ignore_case": True},
        lambda text: {"contains": "warm", "model": MODELS[0], "instructions": text},
        lambda text: {"instructions": text},
        lambda text: {"tool": text},
        lambda text: {"after": text, "stream": False},
        lambda text: {"turn": int(text[-4:])},
        lambda text: {"header": {"x-a": text}},
        lambda text: {"json_subset": {"a": text}},
    ],
)
def test_finding_a_stub_takes_as_many_steps_among_many_as_among_few(
    condition: Callable[[str], dict[str, Any]],
) -> None:
    calls = {}
    for number in (100, 1_000):
        stubs = StubRegistry()
        for each in range(number):
            stubs.add(REPLY, matcher=build_matcher(**condition(f"city {each:04}")))
        request = request_for(number - 1)
        calls[number] = count_calls(lambda: stubs.take(request))  # noqa: B023 (called at once)
        assert stubs.all[-1].is_exhausted
    assert calls[1_000] <= 1.5 * calls[100]


def test_finding_a_stub_takes_as_many_steps_after_many_are_used_up() -> None:
    stubs, request = StubRegistry(), request_for(1)
    # The first stub is compared with each request.
    stubs.add(REPLY, matcher=build_matcher(predicate=lambda _: False))
    for _ in range(1_000):
        stubs.add(REPLY)
    first = count_calls(lambda: stubs.take(request))
    for _ in range(998):
        stubs.take(request)
    last = count_calls(lambda: stubs.take(request))
    assert stubs.all[-1].is_exhausted
    assert last <= 1.5 * first


texts = st.text("abß ", min_size=1, max_size=7)


@pytest.fixture(params=["with automaton", "without"])
def automaton(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.setattr(matcher_index, "_load_automaton_class", lambda: None)


@pytest.mark.usefixtures("automaton")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(texts), st.sets(texts), st.text("abß "))
def test_text_search(kept: set[str], removed: set[str], text: str) -> None:
    search: TextSearch[str] = TextSearch()
    for each in kept | removed:
        search.put(each, each)
    search.find(text)
    for each in removed - kept:
        search.remove(each)
    for each in kept & removed:
        search.remove(each)
        search.put(each, each)
    assert sorted(search.find(text)) == sorted(each for each in kept if each in text)


@pytest.mark.usefixtures("automaton")
def test_text_search_of_many_texts() -> None:
    search: TextSearch[str] = TextSearch()
    prompt = "".join(f"city {number:05}, " for number in range(0, 3000, 3))
    for number in range(3000):
        search.put(f"city {number:05}", f"city {number:05}")
        if number % 500 == 0:
            search.find(prompt)
    search.put("half a pair: \ud83d", "")
    assert sorted(search.find(prompt)) == [f"city {number:05}" for number in range(0, 3000, 3)]
    for number in range(0, 3000, 2):
        search.remove(f"city {number:05}")
    assert sorted(search.find(prompt)) == [f"city {number:05}" for number in range(3, 3000, 6)]
