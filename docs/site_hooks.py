"""mkdocs hooks: add the repository's own pages to the site, and adapt links between files to it.

The Markdown files link to each other by their paths in the repository, so that they also read well where
the repository is hosted.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent

#: Pages of the site by the path of their file in the repository, other than those in docs/.
REPOSITORY_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing/index.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "examples/README.md": "examples/index.md",
    **{
        file.relative_to(ROOT).as_posix(): f"examples/{file.parent.name}.md"
        for file in sorted(ROOT.glob("examples/*/README.md"))
    },
}

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`]*`")
#: A line of a paragraph, which is no list, continued item or heading.
_TEXT = re.compile(r"[^\s#|<>-]")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s#:]+)(#[^()\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside of docs/."""
    from mkdocs.structure.files import File

    for source, target in REPOSITORY_PAGES.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adapt a page that is written for the renderer of a repository."""
    site_to_repository = {target: source for source, target in REPOSITORY_PAGES.items()}
    target = page.file.src_uri
    text = adapt_syntax(markdown)
    return adapt_links(text, site_to_repository.get(target, f"docs/{target}"), target)


def adapt_syntax(markdown: str) -> str:
    """Return the page as Python-Markdown reads it.

    A list needs a blank line before it, a bar in the code of a table no backslash, and a fence takes one word.
    """
    lines: list[str] = []
    in_fence = False
    for line in markdown.splitlines():
        if line.startswith("```"):
            in_fence = not in_fence
            lines.append(line.split(" ")[0])
        elif in_fence:
            lines.append(line)
        elif line.startswith("|"):
            lines.append(_CODE.sub(lambda code: code[0].replace("\\|", "|"), line))
        else:
            if line.startswith("- ") and lines and _TEXT.match(lines[-1]):
                lines.append("")
            lines.append(line)
    return "\n".join(lines) + "\n"


def adapt_links(markdown: str, source: str, target: str) -> str:
    """Return the page with links to pages of the site; a link to another file of the repository becomes text.

    `source` is the path of the page's file in the repository, `target` its path on the site.
    """

    def adapt(match: re.Match[str]) -> str:
        image, text, path, anchor = match[1], match[2], match[3], match[4] or ""
        linked = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        page = _site_path(linked)
        if page is None:
            return text
        return f"{image}[{text}]({posixpath.relpath(page, posixpath.dirname(target) or '.')}{anchor})"

    parts: list[str] = []
    end = 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(adapt, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(adapt, markdown[end:])])


def _site_path(linked: str) -> str | None:
    """The path on the site of a file or folder of the repository; None if it has none."""
    for each in (linked, f"{linked}/README.md"):
        if each in REPOSITORY_PAGES:
            return REPOSITORY_PAGES[each]
    return linked.removeprefix("docs/") if linked.startswith("docs/") else None
