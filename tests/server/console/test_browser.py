"""The console in a real browser: what it shows, its keyboard, its actions, and what hostile texts cannot do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver.contract.rules import load_rules
from mockserver.replies.script import Message, Script
from mockserver.server.access import ApiKeys
from mockserver.server.console import ConsoleAccess
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session
from tests.reports.chromium import Browser, Tab

KEY = "sk-0123456789abcdef0123456789abcdef"
MODEL = "qwen3-max-2026-01-23"
HOSTILE = (
    "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"
    "<a href='javascript:window.ran = 3'>x</a> \u202egnp.exe\u2066\x1b[2J\ufeff '\"`${window.ran = 4}"
)


@pytest.fixture
def services() -> Services:
    session = open_session(profile="qwen-2026-01", seed=0)
    return Services(default_session=session, keys=ApiKeys([KEY]), console=ConsoleAccess())


@pytest.fixture
def server(services: Services) -> Iterator[ThreadedServer]:
    server = ThreadedServer(App(services))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def tab(browser: Browser, server: ThreadedServer, services: Services) -> Iterator[Tab]:
    """The console, opened by its link."""
    opened = open_console(browser, server, services)
    yield opened
    assert [each for each in opened.console_errors if "status of 400" not in each] == []
    assert {httpx.URL(each).host for each in opened.requested_urls} <= {"127.0.0.1", ""}
    opened.close()


def open_console(browser: Browser, server: ThreadedServer, services: Services) -> Tab:
    assert services.console is not None
    opened = Tab(browser)
    opened.call("Page.navigate", url=services.console.link(server.url))
    opened.wait_until("document.querySelector('.connection.live') !== null")
    return opened


def ask(server: ThreadedServer, content: str = "Hi", path: str = "/v1/responses", **members: Any) -> None:
    body = {"model": MODEL, "input": content, **members}
    httpx.post(f"{server.url}{path}", json=body, headers={"authorization": f"Bearer {KEY}"}, trust_env=False)


def wait_for_rows(tab: Tab, count: int) -> None:
    tab.wait_until(f"document.querySelectorAll('.row').length === {count}")


def click(tab: Tab, selector: str, text: str = "") -> None:
    """Click the element whose text begins with `text`."""
    tab.wait_until(f"document.querySelector({json.dumps(selector)}) !== null")
    found = tab.evaluate(
        f"(() => {{ const one = [...document.querySelectorAll({json.dumps(selector)})]"
        f".find((each) => each.textContent.trim().startsWith({json.dumps(text)})); one?.click(); return !!one; }})()"
    )
    assert found, f"no {selector} {text!r}"


def type_into(tab: Tab, selector: str, text: str) -> None:
    field = f"document.querySelector({json.dumps(selector)})"
    tab.evaluate(f"{field}.focus(); {field}.select()")
    tab.call("Input.insertText", text=text)


def eventually(tab: Tab, condition: Callable[[], bool]) -> None:
    """Wait until the server is in a state."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the server never got there"
        tab.evaluate("new Promise((done) => setTimeout(done, 20))")


def test_requests_appear_as_they_arrive(tab: Tab, server: ThreadedServer) -> None:
    wait_for_rows(tab, 0)
    ask(server, "first", temperature=9)
    wait_for_rows(tab, 1)
    ask(server, "second", path="/s/other/v1/responses", stream=True)
    wait_for_rows(tab, 2)

    texts = tab.evaluate("[...document.querySelectorAll('.row')].map((row) => row.textContent)")

    assert "first" in texts[0]
    assert "400" in texts[0]
    assert "✕" in texts[0]
    assert "second" in texts[1]
    assert f"other · {MODEL}" in texts[1]
    assert f"default · {MODEL}" in texts[0]


def test_a_click_opens_the_exchange_with_its_timeline(tab: Tab, server: ThreadedServer) -> None:
    ask(server, "Tell me more", stream=True)
    wait_for_rows(tab, 1)

    click(tab, ".row")
    tab.wait_until("document.querySelector('.row').getAttribute('aria-selected') === 'true'")
    tab.wait_until("document.querySelector('iframe') !== null")
    shown = tab.wait_for_frame_text("understood as")

    assert "Timeline" in shown
    assert "output_text.delta" in shown
    tab.evaluate_in_frame("document.querySelector('.scroller').focus()")
    assert tab.evaluate_in_frame("document.querySelector('.event-toolbar output').textContent").startswith(
        "event 0"
    )


@pytest.mark.slow
def test_a_page_that_is_still_connecting_does_not_say_that_it_is_disconnected(
    browser: Browser, server: ThreadedServer, services: Services
) -> None:
    assert services.console is not None
    opened = Tab(browser)
    silent = "window.EventSource = class { addEventListener() {} close() {} }"
    opened.call("Page.addScriptToEvaluateOnNewDocument", source=silent)
    opened.call("Page.navigate", url=services.console.link(server.url))
    opened.wait_until("document.querySelector('.connection')?.textContent === 'connecting'")
    opened.close()


@pytest.mark.slow
def test_a_finding_leads_to_its_rule_and_back(tab: Tab, server: ThreadedServer) -> None:
    ask(server, temperature=9)
    wait_for_rows(tab, 1)
    click(tab, ".row")
    tab.wait_for_frame_text("Findings")
    assert tab.evaluate("document.querySelector('.back')") is None

    name = tab.evaluate_in_frame(
        "(() => { const link = document.querySelector('.finding a'); link.click(); return link.textContent; })()"
    )
    rule = load_rules()[name]
    page = tab.wait_for_frame_text(rule.title)

    for expected in (rule.id, rule.severity.value, rule.statement, rule.reason, rule.source, "An example"):
        assert expected in page
    click(tab, ".back")
    tab.wait_for_frame_text("understood as")


@pytest.mark.slow
def test_the_list_is_operated_by_keys(tab: Tab, server: ThreadedServer) -> None:
    for number in range(3):
        ask(server, f"question {number}")
    wait_for_rows(tab, 3)
    tab.evaluate("document.querySelector('.rows').focus()")

    chosen = []
    for key in ("j", "j", "ArrowDown", "k", "Home", "End"):
        tab.press(key)
        chosen.append(tab.evaluate("document.querySelector('.row[aria-selected=true]').textContent"))

    assert [text.partition("question ")[2][0] for text in chosen] == ["0", "1", "2", "1", "0", "2"]
    assert (
        tab.evaluate("document.querySelector('.rows').getAttribute('aria-activedescendant')")
        == "row-default/3"
    )
    tab.press("/")
    assert tab.evaluate("document.activeElement.type") == "search"


def test_filters_and_pause(tab: Tab, server: ThreadedServer) -> None:
    ask(server, "apples")
    ask(server, "pears", temperature=9)
    wait_for_rows(tab, 2)

    type_into(tab, "input[type=search]", "pears 400")
    wait_for_rows(tab, 1)
    tab.press("Escape")
    wait_for_rows(tab, 2)
    click(tab, ".filters button", "Errors")
    wait_for_rows(tab, 1)
    click(tab, ".filters button", "Errors")
    wait_for_rows(tab, 2)
    click(tab, "header button", "Pause")
    tab.wait_until("document.querySelector('header button').getAttribute('aria-pressed') === 'true'")
    ask(server, "while paused")
    tab.evaluate("new Promise((done) => setTimeout(done, 400))")
    assert tab.evaluate("document.querySelectorAll('.row').length") == 2
    click(tab, "header button", "Pause")
    wait_for_rows(tab, 3)
    click(tab, "header button", "Clear")
    wait_for_rows(tab, 0)
    assert tab.evaluate("document.querySelector('.filters [role=status]').textContent") == "0 requests"


@pytest.mark.slow
def test_the_list_is_filtered_by_status_session_finding_and_fault(
    tab: Tab, server: ThreadedServer, services: Services
) -> None:
    def options(name: str) -> Any:
        return tab.evaluate(
            f"[...document.querySelector('select[name={name}]').options].map((each) => each.label)"
        )

    def choose(name: str, steps: int) -> list[str]:
        """The prompts that are left after `steps` presses of the arrow key."""
        tab.evaluate(f"document.querySelector('select[name={name}]').focus()")
        for _ in range(steps):
            tab.press("ArrowDown")
        tab.wait_until("document.querySelector('.show-all') !== null")
        prompts: list[str] = tab.evaluate(
            "[...document.querySelectorAll('.row')].map((row) => row.querySelector('bdi').textContent)"
        )
        tab.press("Escape")
        wait_for_rows(tab, 4)
        assert tab.evaluate("document.querySelector('.show-all')") is None
        return prompts

    ask(server, "plain")
    ask(server, "invalid", temperature=9)
    ask(server, "elsewhere", path="/s/other/v1/responses")
    services.default_session.faults = (parse_fault("internal-error"),)
    ask(server, "broken")
    wait_for_rows(tab, 4)

    assert options("status") == ["Status", "200", "400", "500"]
    assert options("session") == ["Session", "default", "other"]
    assert options("fault") == ["Fault", "With a fault", "Without a fault", "internal-error"]
    assert options("finding")[:3] == ["Finding", "With findings", "Without findings"]
    assert choose("status", 3) == ["broken"]
    assert choose("session", 2) == ["elsewhere"]
    assert choose("finding", 1) == choose("finding", 3) == ["invalid"]
    assert choose("finding", 2) == ["plain", "elsewhere", "broken"]
    assert choose("fault", 1) == choose("fault", 3) == ["broken"]


def test_hostile_texts_are_only_text(tab: Tab, server: ThreadedServer) -> None:
    ask(server, HOSTILE, stream=True)
    ask(server, "big " + "<b>" * 300_000)
    wait_for_rows(tab, 2)
    for number in (0, 1):
        tab.evaluate(f"document.querySelectorAll('.row')[{number}].click()")
        tab.evaluate("new Promise((done) => setTimeout(done, 500))")

    assert tab.evaluate("window.ran") is None
    assert tab.evaluate("document.querySelectorAll('main script, main img, .row a, .row b').length") == 0


@pytest.mark.slow
def test_events_of_a_megabyte_are_only_text(tab: Tab, server: ThreadedServer, services: Services) -> None:
    services.default_session.stubs.add(Script((Message((HOSTILE * 5900,)),)))
    ask(server, "big", stream=True)
    wait_for_rows(tab, 1)
    (entry,) = services.default_session.journal
    assert max(map(len, entry.reply)) > 900_000

    click(tab, ".row")
    tab.wait_for_frame_text("response.completed")

    assert tab.evaluate("window.ran") is None
    assert tab.evaluate_in_frame("document.querySelectorAll('img, a[href^=javascript]').length") == 0


@pytest.mark.slow
def test_a_request_is_copied_in_five_forms(tab: Tab, server: ThreadedServer) -> None:
    ask(server, "Copy me")
    wait_for_rows(tab, 1)
    click(tab, ".row")
    tab.wait_for_frame_text("understood as")
    tab.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")

    for form, words in (
        ("curl", "curl http://"),
        ("exchange", '"match": "Copy me"'),
        ("pytest", "def test_request_1(responses_server)"),
        ("python", "httpx.post("),
        ("node", "await fetch("),
    ):
        click(tab, f"[data-copy={form}]")
        tab.wait_until(f"window.copied?.includes({json.dumps(words)})")
        assert "Copy me" in tab.evaluate("window.copied")
        tab.wait_until("document.querySelector('.actions [role=status]').textContent.startsWith('Copied as')")


def test_a_stub_is_added_from_the_page(tab: Tab, server: ThreadedServer, services: Services) -> None:
    click(tab, "[role=tab]", "Stubs")
    tab.wait_until("document.querySelector('form button') !== null")
    type_into(tab, "textarea", '{"format": 1, "name": "bad"}')
    tab.wait_until("document.querySelector('.problem') !== null")
    assert tab.evaluate("document.querySelector('form button').disabled")
    type_into(tab, "textarea", json.dumps({"name": "mine", "reply": "From the page."}))
    tab.wait_until(
        "document.querySelector('.problem') === null && !document.querySelector('form button').disabled"
    )

    click(tab, "form button", "Add stub")
    tab.wait_until("document.querySelector('.stub') !== null")
    click(tab, "[role=tab]", "Try it")
    click(tab, "form.panel button", "Send")
    tab.wait_until("document.querySelector('.said').textContent === 'From the page.'")

    assert services.default_session.journal.last.exchange == "mine"


@pytest.mark.slow
def test_a_list_of_stubs_is_added_to_the_chosen_session(
    tab: Tab, server: ThreadedServer, services: Services
) -> None:
    ask(server, path="/s/other/v1/responses")
    wait_for_rows(tab, 1)
    click(tab, "[role=tab]", "Stubs")
    tab.wait_until("document.querySelectorAll('select[name=controlled] option').length === 2")
    tab.evaluate("document.querySelector('select[name=controlled]').focus()")
    tab.press("ArrowDown")
    tab.wait_until("document.querySelector('select[name=controlled]').value === 'other'")

    type_into(tab, "textarea", '[{"reply": "One"}, {"rely": "Two"}]')
    tab.wait_until("document.querySelector('.problem')?.textContent.includes(\"did you mean 'reply'?\")")
    type_into(tab, "textarea", '[{"reply": "One"}, {"reply": "Two"}]')
    tab.wait_until("document.querySelector('.says')?.textContent.includes('Two')")
    click(tab, "form button", "Add stubs")
    tab.wait_until("document.querySelectorAll('.stub').length === 2")

    other = services.sessions.get("other")
    assert other is not None
    assert [str(each)[:5] for each in other.stubs.all] == ["'One'", "'Two'"]
    assert len(services.default_session.stubs) == 0


@pytest.mark.slow
@pytest.mark.parametrize("button", ["Edit", "Remove"])
def test_a_stub_that_is_gone_is_named_and_leaves_the_list(
    browser: Browser, server: ThreadedServer, services: Services, button: str
) -> None:
    tab = open_console(browser, server, services)
    services.default_session.stubs.add(Script((Message(("Hello",)),)))
    click(tab, "[role=tab]", "Stubs")
    tab.wait_until("document.querySelectorAll('.stub').length === 1")
    (stub,) = services.default_session.stubs.all
    services.default_session.stubs.clear()

    click(tab, ".stub button", button)
    tab.wait_until("document.querySelectorAll('.stub').length === 0")

    assert stub.name in tab.evaluate("document.querySelector('[role=alert]').textContent")
    (refusal,) = tab.console_errors
    assert "status of 404" in refusal
    tab.close()


@pytest.mark.slow
def test_the_form_changes_only_what_it_shows(tab: Tab) -> None:
    click(tab, "[role=tab]", "Stubs")
    stub = {"name": "mine", "match": {"contains": "a", "turn": 2}, "reply": "One", "times": 2}
    type_into(tab, "textarea", json.dumps(stub))
    type_into(tab, "input[name=contains]", "b")
    type_into(tab, "input[name=reply]", "Two")
    tab.wait_until("document.querySelector('textarea').value.includes('Two')")
    changed = {**stub, "match": {"contains": "b", "turn": 2}, "reply": "Two"}
    assert json.loads(tab.evaluate("document.querySelector('textarea').value")) == changed

    for match in ("Hello!", {"prompt": "Hello!"}, {"contains": ["a", "b"]}):
        type_into(tab, "textarea", json.dumps({"match": match, "reply": "One"}))
        tab.wait_until("document.querySelector('input[name=contains]') === null")
        type_into(tab, "textarea", "{}")
        tab.wait_until("document.querySelector('input[name=contains]') !== null")


@pytest.mark.slow
def test_stubs_are_edited_reordered_and_removed(tab: Tab, server: ThreadedServer, services: Services) -> None:
    def names() -> list[str]:
        return [each.name for each in services.default_session.stubs.all]

    click(tab, "[role=tab]", "Stubs")
    for name in ("one", "two", "three"):
        type_into(tab, "textarea", json.dumps({"name": name, "reply": f"Reply {name}."}))
        tab.wait_until(f"document.querySelector('form [role=status]').textContent.includes('Reply {name}.')")
        click(tab, "form button", "Add stub")
        tab.wait_until(f"[...document.querySelectorAll('.stub strong')].at(-1)?.textContent === '{name}'")

    click(tab, "[aria-label='Move three up']")
    tab.wait_until("document.querySelectorAll('.stub strong')[1].textContent === 'three'")
    assert names() == ["one", "three", "two"]
    click(tab, ".stub:nth-of-type(2) button", "Edit")
    tab.wait_until("document.querySelector('form h3').textContent === 'Edit three'")
    type_into(tab, "input[name=reply]", "Edited.")
    tab.wait_until("document.querySelector('form [role=status]').textContent.includes('Edited.')")
    click(tab, "form button", "Save stub")
    tab.wait_until("document.querySelectorAll('.stub')[1].textContent.includes('Edited.')")
    assert names() == ["one", "three", "two"]
    click(tab, ".stub:nth-of-type(1) button", "Remove")
    tab.wait_until("document.querySelectorAll('.stub').length === 2")
    assert names() == ["three", "two"]


@pytest.mark.slow
def test_settings_are_applied(tab: Tab, server: ThreadedServer, services: Services) -> None:
    click(tab, "[role=tab]", "Settings")
    tab.wait_until("document.querySelector('input[name=pace]') !== null")
    type_into(tab, "input[name=faults]", "rate-limit:0.5")
    type_into(tab, "input[name=pace]", "fixed:3")
    type_into(tab, "input[name=limits]", "requests=7")
    click(tab, "form button", "Apply")
    session = services.default_session
    eventually(tab, lambda: [each.spec for each in session.faults] == ["rate-limit:0.5"])
    assert session.delivery.pace == "fixed:3"
    assert session.limiter is not None
    before = session.clock.now()
    click(tab, "form.inline button", "Advance")
    eventually(tab, lambda: session.clock.now() >= before + 60)
    type_into(tab, "input[name=pace]", "quick")
    click(tab, "form button", "Apply")
    tab.wait_until("document.querySelector('[role=alert]') !== null")
    assert services.default_session.delivery.pace == "fixed:3"
    services.default_session.faults = ()
    ask(server)
    wait_for_rows(tab, 1)
    click(tab, "p button", "Reset the session")
    wait_for_rows(tab, 0)
    assert len(session.journal) == 0


@pytest.mark.slow
def test_thousands_of_rows_are_a_few_elements(tab: Tab, server: ThreadedServer) -> None:
    with httpx.Client(headers={"authorization": f"Bearer {KEY}"}, trust_env=False) as client:
        for number in range(600):
            client.post(f"{server.url}/v1/responses", json={"model": MODEL, "input": f"number {number}"})
    tab.wait_until("document.querySelector('.filters [role=status]').textContent === '600 requests'")

    assert tab.evaluate("document.querySelectorAll('.row').length") < 60
    tab.wait_until("[...document.querySelectorAll('.row')].at(-1).textContent.includes('number 599')")

    tab.evaluate("document.querySelectorAll('.row').forEach((row) => { row.isFirst = true; })")
    for position in (0, 9_000, 9_030, 8_000, 0):
        tab.evaluate(f"document.querySelector('.rows').scrollTop = {position}")
        tab.wait_until(f"({ROWS_IN_VIEW})[0]?.[0] === {position // 44 + 1}")
        # In order again, once the scroll has ended.
        tab.wait_until(f"({DRAWN_NUMBERS}).every((each, at, all) => !at || each === all[at - 1] + 1)")
        rows = tab.evaluate(ROWS_IN_VIEW)
        assert len(rows) > 10
        assert [number for number, _ in rows] == list(range(rows[0][0], rows[-1][0] + 1))
        assert all(text == f"number {number - 1}" for number, text in rows)
    assert tab.evaluate("[...document.querySelectorAll('.row')].every((row) => row.isFirst)")
    assert tab.evaluate("document.querySelector('.row').getAttribute('aria-setsize')") == "600"


@pytest.mark.slow
def test_the_rows_in_view_stay_when_others_come_and_go(tab: Tab, server: ThreadedServer) -> None:
    def first_in_view() -> str:
        name: str = tab.evaluate(f"({ROWS_IN_VIEW})[0][1]")
        return name

    for number in range(80):
        ask(server, f"number {number}", path=f"/s/{'odd' if number % 2 else 'even'}/v1/responses")
    tab.wait_until("document.querySelector('.filters [role=status]').textContent === '80 requests'")
    tab.evaluate("document.querySelector('.rows').scrollTop = 41 * 44")
    tab.wait_until(f"({ROWS_IN_VIEW})[0][1] === 'number 41'")

    ask(server, "one more")
    tab.wait_until("document.querySelector('.filters [role=status]').textContent === '81 requests'")
    assert first_in_view() == "number 41"
    tab.evaluate(
        "fetch('/s/even/_mock/reset', { method: 'POST', body: '{}', headers: { 'x-mock-console': '1' } })"
    )
    tab.wait_until("document.querySelector('.filters [role=status]').textContent === '41 requests'")
    assert first_in_view() == "number 41"
    type_into(tab, "input[type=search]", "number")
    tab.wait_until("document.querySelector('.filters [role=status]').textContent === '40 of 41'")
    assert first_in_view() == "number 41"


#: Of the rows in view: their numbers in the list, and their prompts.
ROWS_IN_VIEW = """(() => {
  const box = document.querySelector(".rows").getBoundingClientRect();
  return [...document.querySelectorAll(".row")]
    .filter((row) => row.getBoundingClientRect().bottom > box.top && row.getBoundingClientRect().top < box.bottom)
    .map((row) => [Number(row.getAttribute("aria-posinset")), row.querySelector("bdi").textContent]);
})()"""
DRAWN_NUMBERS = (
    "[...document.querySelectorAll('.row')].map((row) => Number(row.getAttribute('aria-posinset')))"
)


@pytest.mark.slow
def test_the_page_fits_a_phone_in_the_dark(tab: Tab, server: ThreadedServer, tmp_path: Path) -> None:
    ask(server, "A rather long question that does not fit in one line of a phone", stream=True)
    tab.resize(390, 800)
    tab.emulate_media(dark=True)
    wait_for_rows(tab, 1)

    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 23)"


@pytest.mark.slow
def test_every_control_has_a_name(tab: Tab, server: ThreadedServer) -> None:
    ask(server)
    wait_for_rows(tab, 1)
    for name in ("Exchange", "Stubs", "Settings", "Try it"):
        click(tab, "[role=tab]", name)
        tab.evaluate("new Promise((done) => setTimeout(done, 300))")
        nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "tab", "textbox", "searchbox", "combobox", "listbox", "Iframe", "spinbutton"}
        nameless = [
            each["role"]["value"]
            for each in nodes
            if not each.get("ignored")
            and each["role"]["value"] in roles
            and not each.get("name", {}).get("value")
        ]
        assert nameless == [], name


@pytest.fixture
def other_site() -> Iterator[str]:
    """The URL of another site, on another port of this machine."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><link rel=icon href=data:,><title>other</title>")

        def log_message(self, *_: object) -> None:
            pass

    site = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{site.server_port}"
    site.shutdown()
    site.server_close()


def test_another_page_can_neither_read_nor_change(
    browser: Browser, tab: Tab, server: ThreadedServer, services: Services, other_site: str
) -> None:
    ask(server, "a secret prompt")
    attacker = Tab(browser)
    attacker.call("Page.navigate", url=other_site)
    attacker.wait_until("document.title === 'other'")
    for path, options in (
        ("/_mock/journal", "{credentials: 'include'}"),
        ("/_mock/console/exchanges/default/1", "{credentials: 'include'}"),
        (
            "/_mock/reset",
            "{method: 'POST', credentials: 'include', body: '{}', headers: {'x-mock-console': '1'}}",
        ),
        ("/_mock/reset", "{method: 'POST', credentials: 'include', body: '{}'}"),
    ):
        result = attacker.evaluate(
            f"fetch('{server.url}{path}', {options}).then((reply) => reply.text()).catch(() => 'blocked')"
        )
        assert result == "blocked"
    attacker.close()

    assert [each.prompt for each in services.default_session.journal if each.status == 200] == [
        "a secret prompt"
    ]
