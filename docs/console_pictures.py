"""Take the pictures of docs/console.md: a server with requests, its console in Chromium, a picture of each view.

.venv/bin/python docs/console_pictures.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import httpx

from mockserver.server.console import ConsoleAccess
from mockserver.server.delivery.options import Delivery
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.reports.chromium import Tab, find_chromium, run_chromium

PICTURES = Path(__file__).resolve().parent / "pictures"
MODEL = "qwen3-max-2026-01-23"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
REQUESTS = (
    {"input": "Hello!"},
    {"input": "Please briefly introduce artificial intelligence.", "stream": True},
    {"input": "What is the weather in Paris? Use get_weather.", "tools": [WEATHER]},
    {"input": "Write a haiku about the sea.", "temperature": 9},
    {"input": "Tell me about Hangzhou in three sentences.", "stream": True},
    {"model": "qwen-of-tomorrow", "input": "Hello?"},
)


def send_requests(url: str) -> None:
    headers = {"authorization": "Bearer sk-mock"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client:
        for body in REQUESTS:
            client.post("/v1/responses", json={"model": MODEL, **body})
        client.post("/s/alice/v1/responses", json={"model": MODEL, "input": "Who am I?"})


def take_pictures(tab: Tab) -> None:
    tab.wait_until(f"document.querySelectorAll('.row').length === {len(REQUESTS) + 1}")
    tab.evaluate("document.querySelectorAll('.row')[1].click()")
    tab.evaluate("new Promise((done) => setTimeout(done, 1500))")
    tab.screenshot(PICTURES / "console-exchange.png")
    for index, name in ((1, "stubs"), (2, "settings")):
        tab.evaluate(f"document.querySelectorAll('[role=tab]')[{index}].click()")
        tab.evaluate("new Promise((done) => setTimeout(done, 800))")
        tab.screenshot(PICTURES / f"console-{name}.png")


def main() -> None:
    program = find_chromium()
    if program is None:
        raise SystemExit("chromium is not installed")
    session = open_session(profile="qwen-2026-01")
    session.delivery = Delivery(pace="model:300,60")
    services = Services(default_session=session, console=ConsoleAccess())
    server = ThreadedServer(App(services))
    server.start()
    assert services.console is not None
    try:
        send_requests(server.url)
        with tempfile.TemporaryDirectory() as folder, run_chromium(program, Path(folder)) as browser:
            tab = Tab(browser, 1280, 800)
            tab.call("Page.navigate", url=services.console.link(server.url))
            take_pictures(tab)
            tab.emulate_media(dark=True)
            tab.resize(390, 760)
            tab.evaluate("document.querySelectorAll('[role=tab]')[0].click()")
            tab.evaluate("new Promise((done) => setTimeout(done, 1500))")
            tab.screenshot(PICTURES / "console-phone.png")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
