"""Paragraphs of the docstrings of displays with one panel."""

from sklmat.docstrings import parameter_paragraphs

PANEL_PARAGRAPHS = parameter_paragraphs("""
    ax : matplotlib Axes or None, default=None
        Where to draw; None makes a figure.
    ax_ : matplotlib Axes
        The panel.
    figure_ : matplotlib Figure
        The figure that holds it.
""")
