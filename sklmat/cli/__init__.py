"""The command line: ``sklmat check``, ``compare``, ``fit``, ``predict`` and ``screen``."""

from sklmat.cli._main import main

__all__ = ["main"]
