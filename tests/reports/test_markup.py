"""The HTML builder escapes everything that is not markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.reports.formatting import escape_invisible
from mockserver.reports.markup import json_script, raw_element, tag

ANY_TEXT = st.text(st.characters(exclude_categories=()))


class ParsedHtml(HTMLParser):
    """Collects elements, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(ANY_TEXT, ANY_TEXT)
def test_text_and_attributes_are_escaped(text: str, attribute: str) -> None:
    read = ParsedHtml(tag("p", text, title=attribute))
    assert read.tags == ["p"]
    assert (read.text, read.attributes) == (escape_invisible(text), {"title": escape_invisible(attribute)})


@given(ANY_TEXT)
def test_data_cannot_end_its_script_element(text: str) -> None:
    sound = text.encode("utf-16", "replace").decode("utf-16", "replace")
    block = json_script({"text": sound}, class_="events")
    inside = block.removeprefix('<script type="application/json" class="events">').removesuffix("</script>")
    assert not set(inside) & {"<", ">", "&", "\u2028"}
    assert json.loads(inside) == {"text": sound}


def test_markup_children_stay_and_none_is_left_out() -> None:
    assert tag("p", tag("b", "1"), None, "<", class_="x", hidden=True, open=False, id=None) == (
        '<p class="x" hidden><b>1</b>&lt;</p>'
    )
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


@pytest.mark.parametrize(
    "attributes",
    [{"onclick": "x"}, {"style": "x"}, {"ONLOAD": "x"}, {"href": "https://example.com"}, {"src": "x.js"}],
)
def test_attributes_that_run_or_link_out_are_refused(attributes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no attribute|leads out"):
        tag("a", "x", **attributes)


def test_content_that_would_end_its_element_is_refused() -> None:
    with pytest.raises(ValueError, match="would end it"):
        raw_element("script", "x = '</script>'")
