"""A page laid out: one HTML file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, Mapping

from crnn.errors import needs, shown
from crnn.reports.html.model import Page, Part

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
    template = _template("report.html.j2")
    style, script = _own("report.css"), _own("report.js")
    html: str = template.render(
        page=page,
        t=texts,
        language=language,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    return html


def to_fragment(part: Part, texts: Mapping[str, str]) -> str:
    """Lay a part of a page out, for a notebook: with a style of its own, and without scripts.

    Args:
        part: What to show.
        texts: The words of the page.

    Returns:
        The HTML of one element, escaped as that of `to_html`.

    Raises:
        UnavailableError: Jinja2 is missing.
    """
    template = _template("fragment.html.j2")
    html: str = template.render(part=part, t=texts, style=_own("fragment.css"))
    return html


def _template(name: str) -> Any:
    with needs("Jinja2", extra="report"):
        import jinja2
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(_TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
    )
    return environment.get_template(name)


def _own(name: str) -> Any:
    """Return a file of the kit's own, which is not escaped."""
    from markupsafe import Markup

    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704


def _plain(value: object) -> object:
    """Show what steers a terminal or turns text around as an escape; markup of the kit stays."""
    if type(value) is str:
        return shown(value)
    return value


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return base64.b64encode(digest).decode("ascii")
