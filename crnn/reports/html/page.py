"""A page laid out: one HTML file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Mapping

from crnn.errors import needs, shown
from crnn.reports.html.model import Page

_TEMPLATES = Path(__file__).with_name("templates")


def to_html(page: Page, texts: Mapping[str, str], language: str) -> str:
    """Lay a page out.

    Whatever comes from data is escaped by the template, and nothing in the file may be fetched or
    run but the one script in it, which is named by its hash in the page's own policy.

    Args:
        page: What to show.
        texts: The words of the page (`crnn.reports.html.texts`).
        language: Their language, for the browser.

    Returns:
        The HTML.

    Raises:
        UnavailableError: Jinja2 is missing.
    """
    with needs("Jinja2", extra="report"):
        import jinja2
        from markupsafe import Markup
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(_TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
    )
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    script = (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    template = environment.get_template("report.html.j2")
    html: str = template.render(
        page=page,
        t=texts,
        language=language,
        style=Markup(style),  # noqa: S704  the kit's own files
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    return html


def _plain(value: object) -> object:
    """Show what steers a terminal or turns text around as an escape; markup of the kit stays."""
    if type(value) is str:
        return shown(value)
    return value


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return base64.b64encode(digest).decode("ascii")
