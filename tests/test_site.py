"""The documentation site: it builds without warnings, its links lead somewhere, no other host is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docs.site_hooks import adapt_links, adapt_syntax
from tests.acceptance.conftest import ROOT, environment_python, run_checked

#: Attributes that make a browser load a file, by element.
LOADING = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}


class PageParser(HTMLParser):
    """Collects what a page links to and loads, and the ids of its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.headings = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        self.headings += tag == "h1"
        if tag == "a" and (link := values.get("href")):
            self.links.append(link)
        if tag in LOADING and (loaded := values.get(LOADING[tag])):
            self.loaded.append(loaded)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    run_checked(
        environment_python("docs"),
        *("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder),
        cwd=ROOT,
    )
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, PageParser]:
    return dict(parse_pages(site))


def parse_pages(site: Path) -> Iterator[tuple[Path, PageParser]]:
    for file in site.rglob("*.html"):
        if file.name == "404.html":  # its links start at the root of the host
            continue
        parser = PageParser()
        parser.feed(file.read_text(encoding="utf-8"))
        yield file, parser


@pytest.mark.slow
def test_every_link_leads_to_a_page_and_an_anchor(pages: dict[Path, PageParser]) -> None:
    broken: list[str] = []
    for file, page in pages.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.is_file() or (
                parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids
            ):
                broken.append(f"{file.name}: {link}")
    assert broken == []


@pytest.mark.slow
def test_nothing_is_loaded_from_another_host(site: Path, pages: dict[Path, PageParser]) -> None:
    assert [each for page in pages.values() for each in page.loaded if urlsplit(each).netloc] == []
    for file in site.rglob("*.css"):
        assert re.findall(r"(?:@import|url\()[\s\"']*(?:https?:)?//", file.read_text(encoding="utf-8")) == []


@pytest.mark.slow
def test_every_page_has_one_title_and_is_found_by_search(site: Path, pages: dict[Path, PageParser]) -> None:
    assert [file.name for file, page in pages.items() if page.headings != 1] == []
    index = json.loads((site / "search" / "search_index.json").read_bytes())
    indexed = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert indexed >= {file.relative_to(site).as_posix() for file in pages}


@pytest.mark.parametrize(
    ("markdown", "adapted"),
    [
        ("[a](docs/pytest.md#install)", "[a](pytest.md#install)"),
        ("![a](docs/pictures/check.svg)", "![a](pictures/check.svg)"),
        ("[a](examples/node)", "[a](examples/node.md)"),
        ("[`a`](mockserver/clock.py)", "`a`"),
        ("[a](https://www.example.com/docs/)", "[a](https://www.example.com/docs/)"),
        ("```python\nx = [a](b)\n```", "```python\nx = [a](b)\n```"),
    ],
)
def test_links_of_the_readme_are_adapted_to_the_site(markdown: str, adapted: str) -> None:
    assert adapt_links(markdown, "README.md", "index.md") == adapted


def test_links_of_a_page_in_a_folder_are_adapted_to_the_site() -> None:
    page = ("docs/how-to/ci.md", "how-to/ci.md")
    assert adapt_links("[a](../../README.md) [b](../rules.md)", *page) == "[a](../index.md) [b](../rules.md)"


@pytest.mark.parametrize(
    ("markdown", "adapted"),
    [
        ("A list:\n- a\n- b", "A list:\n\n- a\n- b\n"),
        ("| `a\\|b` | c \\| d |", "| `a|b` | c \\| d |\n"),
        ("```python fails\nx = 1\n- 1\n```", "```python\nx = 1\n- 1\n```\n"),
    ],
)
def test_syntax_that_only_repositories_render_is_adapted(markdown: str, adapted: str) -> None:
    assert adapt_syntax(markdown) == adapted
