"""Adapts the README to package indexes, where links to files of the repository lead nowhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^\[\]]*)\]\((?!https?://|#)([^()\s]+)\)")
_PAGE = re.compile(r"docs/(.+)\.md(#.*)?")


class RegistryReadme(MetadataHookInterface):
    """Sets the description of the package."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the README, with links to the site in [project.urls] if there is one."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        site = metadata.get("urls", {}).get("Documentation")
        metadata["readme"] = {"content-type": "text/markdown", "text": adapt_readme(text, site)}


def adapt_readme(text: str, site: str | None) -> str:
    """Return the text without relative links: a page is a link to the site, or its path if there is no site."""

    def adapt(match: re.Match[str]) -> str:
        image, label, path = match[1], match[2], match[3]
        page = _PAGE.fullmatch(path)
        if image:
            return ""
        if page is not None and site is not None:
            return f"[{label}]({site.rstrip('/')}/{page[1]}.html{page[2] or ''})"
        return label if label == path else f"{label} (`{path}`)"

    return _LINK.sub(adapt, text)
