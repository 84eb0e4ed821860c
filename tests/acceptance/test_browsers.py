"""The browser build of the openai SDK in headless Chromium, on a page of another origin than the mock's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mockserver.testing.mock import MockServer
from tests.acceptance.conftest import ENVIRONMENTS
from tests.reports.chromium import Browser, Tab

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

#: The import map is that of the SDK's package.json for browsers.
PAGE = """<!doctype html>
<title>Client</title>
<script type="importmap">
{"imports": {"#x509-transport-state": "/openai/internal/auth/x509-transport-state.mjs"}}
</script>
<script type="module">
import OpenAI from "/openai/index.mjs";
window.connect = (baseURL) => new OpenAI({baseURL, apiKey: "sk-mock", dangerouslyAllowBrowser: true, maxRetries: 0});
window.attempt = async (work) => {
  try { return await work(); } catch (error) { return {name: error.constructor.name, message: String(error.message)}; }
};
window.ready = true;
</script>
"""


class _PageHandler(SimpleHTTPRequestHandler):
    """Serves the SDK's files and the page."""

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (its name in the base class)
        """Nothing."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The origin of the page."""
    folder = ENVIRONMENTS / "node" / "node_modules"
    if not (folder / "openai").is_dir():
        pytest.skip("the environment node is not built")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_PageHandler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Tab]:
    tab = Tab(browser)
    tab.load_url(f"{origin}/")
    tab.wait_until("window.ready === true")
    yield tab
    tab.close()


def run_in_page(page: Tab, server: MockServer, code: str) -> Any:
    """The result of JavaScript that uses `client` and `model`."""
    client = f"const client = connect({json.dumps(server.base_url)}), model = {json.dumps(server.model)};"
    return page.evaluate(f"attempt(async () => {{ {client} {code} }})")


CREATE = """
const {data, response} = await client.responses.create({model, input: "hi"}).withResponse();
return [data.output_text, response.headers.get("x-request-id")];
"""
STREAM = """
let text = "";
for await (const event of await client.responses.create({model, input: "hi", stream: true}))
  if (event.type === "response.output_text.delta") text += event.delta;
return text;
"""
REFUSED = """await client.responses.create({model: "unknown", input: "hi"});"""


def test_a_page_of_an_allowed_origin_uses_the_sdk(page: Tab, origin: str) -> None:
    with MockServer(allow_origin=origin, strict=False) as server:
        server.reply("Hello, page!").always()
        text, request_id = run_in_page(page, server, CREATE)
        assert text == "Hello, page!"
        assert request_id
        assert run_in_page(page, server, STREAM) == "Hello, page!"
        refused = run_in_page(page, server, REFUSED)
        assert refused["name"] == "BadRequestError"
        assert "unknown" in refused["message"]
        assert [entry.status for entry in server.journal] == [200, 200, 400]


def test_a_page_of_another_origin_reads_nothing(page: Tab) -> None:
    with MockServer(allow_origin="http://localhost:1") as server:
        server.reply("Hello, page!").always()
        assert run_in_page(page, server, CREATE)["name"] == "APIConnectionError"
    with MockServer() as server:
        assert run_in_page(page, server, STREAM)["name"] == "APIConnectionError"


def test_every_page_uses_a_server_that_allows_any_origin(page: Tab) -> None:
    with MockServer(allow_origin="*", unsafe_any_origin=True) as server:
        server.reply("Hello, page!")
        assert run_in_page(page, server, CREATE)[0] == "Hello, page!"
