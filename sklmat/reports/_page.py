"""Parts of a page in HTML: tables, figures and paragraphs, and the page that holds them."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Resolution of figures, in dots per inch.
_DPI = 170
#: Figures that are wider than this number of pixels can be scrolled sideways on a phone.
_NARROW = 400


@dataclass
class Section:
    """A section of the page.

    Parameters
    ----------
    title : str
    name : str
        Key of `facts` in the dictionary of the report, and target of links.
    facts : dict
        What JSON can hold.
    parts : list of str
        HTML.
    """

    title: str
    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Add a paragraph."""
        self.parts.append(f"<p>{html.escape(text)}</p>")

    def bullets(self, sentences: Iterable[str]) -> None:
        """Add a list of sentences."""
        items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
        if items:
            self.parts.append(f"<ul>{items}</ul>")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Add a table; numbers are shown with four digits."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(shown(cell))}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        self.parts.append(
            f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )

    def figure(self, figure: Figure, caption: str) -> None:
        """Add a figure with the text that describes it, and close it."""
        import matplotlib.pyplot as plt

        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=_DPI, facecolor="white")
        width = round(96 * figure.get_figwidth())
        kind = ' class="wide"' if width > _NARROW else ""
        plt.close(figure)
        data = base64.b64encode(file.getvalue()).decode()
        text = html.escape(caption)
        self.parts.append(
            f'<figure><img{kind} src="data:image/png;base64,{data}" width="{width}" alt="{text}">'
            f"<figcaption>{text}</figcaption></figure>"
        )

    def code(self, text: str) -> None:
        """Add text with its line breaks."""
        self.parts.append(f"<pre>{html.escape(text)}</pre>")

    def heading(self, text: str) -> None:
        """Add a heading inside the section."""
        self.parts.append(f"<h3>{html.escape(text)}</h3>")


def shown(value: Any) -> str:
    """A value as a text: numbers with four digits, and a dash for missing ones."""
    if value is None:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return "–" if np.isnan(value) else f"{value:.4g}".replace("-", "−")
    return str(value)


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The whole page, which needs no other file."""
    links = "".join(
        f'<a href="#{section.name}">{html.escape(section.title)}</a>' for section in sections
    )
    body = "".join(
        f'<section id="{section.name}"><h2>{html.escape(section.title)}</h2>'
        f"{''.join(section.parts)}</section>"
        for section in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>{html.escape(title)}</h1><p>{html.escape(subtitle)}</p><nav>{links}</nav>"
        f"</header><main>{body}</main></body></html>\n"
    )


_STYLE = """
:root { --text: #1c1c1c; --back: #ffffff; --line: #d0d0d0; --weak: #5a5a5a; --head: #f2f5f8;
  --link: #005a9c; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e6e6; --back: #16191d; --line: #3d434b;
  --weak: #a8b0ba; --head: #22272e; --link: #6cb6ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--text);
  background: var(--back); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.3rem; margin: 2.2rem 0 0.6rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 0.4rem; }
header p, figcaption { color: var(--weak); }
nav a { color: var(--link); margin-right: 1rem; white-space: nowrap; }
nav { line-height: 1.9; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; margin: 0.8rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: 0.3rem 0.8rem 0.3rem 0; text-align: left;
  vertical-align: top; overflow-wrap: normal; }
thead th { background: var(--head); }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; background: #ffffff; border-radius: 4px; }
@media (max-width: 40rem) { figure { overflow-x: auto; }
  figure img.wide { max-width: none; width: 40rem; }
  .wide::before, figure:has(img.wide)::before { content: "scroll sideways →"; display: block;
    color: var(--weak); font-size: 0.8rem; position: sticky; left: 0; } }
figcaption { font-size: 0.9rem; max-width: 45rem; }
pre { background: var(--head); padding: 0.8rem; font-size: 0.8rem; white-space: pre-wrap; }
"""
