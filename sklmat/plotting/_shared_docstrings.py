"""Paragraphs of the docstrings of displays with one panel."""

from sklmat.docstrings import parameter_paragraphs

PANEL_PARAGRAPHS = parameter_paragraphs("""
    ax : matplotlib Axes or None, default=None
        Axes to draw on; None creates a figure.
    ax_ : matplotlib Axes
        The axes of the plot.
    figure_ : matplotlib Figure
        The figure that contains the axes.
""")
