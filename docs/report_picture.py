"""Take the picture of docs/report.md: the HTML report on a stream that breaks a rule, in Chromium.

.venv/bin/python docs/report_picture.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.reports.chromium import Tab, find_chromium, run_chromium

PICTURE = Path(__file__).resolve().parent / "pictures" / "report.png"
PROGRAM = [sys.executable, "-m", "mockserver"]


def write_report(folder: Path) -> Path:
    """Check the example of a rule, and return the report."""
    example = subprocess.run([*PROGRAM, "rules", "TXT-001", "--example"], capture_output=True, check=True)
    (folder / "hello.sse").write_bytes(example.stdout)
    command = [*PROGRAM, "check", "hello.sse", "--report", "html=report.html"]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
    return folder / "report.html"


def main() -> None:
    program = find_chromium()
    if program is None:
        raise SystemExit("chromium is not installed")
    with tempfile.TemporaryDirectory() as name:
        report = write_report(Path(name))
        with run_chromium(program, Path(name)) as browser:
            tab = Tab(browser, 1280, 800)
            tab.load_file(report)
            tab.evaluate("document.querySelectorAll('details summary')[0]?.click()")
            tab.evaluate("new Promise((done) => setTimeout(done, 1000))")
            tab.screenshot(PICTURE)


if __name__ == "__main__":
    main()
