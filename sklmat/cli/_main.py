"""`main` reads the command line and runs one of the commands."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence

import sklmat
from sklmat.cli import _check, _compare, _fit, _predict, _screen

_COMMANDS = (_check, _compare, _fit, _predict, _screen)
#: What shells report of a program that Ctrl-C has stopped.
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        What follows the name of the program; None takes ``sys.argv``.

    Returns
    -------
    code : int
        Exit code: 0 if all is well, 1 if something was found or left out, 2 if the command could
        not run, 130 after an interruption.
    """
    parser = _make_parser()
    options = parser.parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _print_once(set())
        try:
            return options.run(options)
        except (ValueError, OSError, TypeError, ImportError) as error:
            print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f"{parser.prog} {options.command}: interrupted", file=sys.stderr)
            return _INTERRUPTED


def _make_parser():
    parser = argparse.ArgumentParser(prog="sklmat", description="Machine learning on crystals.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {sklmat.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_parser(commands)
    return parser


def _print_once(shown):
    """Function that prints each warning once, without the line of code that it came from."""

    def show(message, category, filename, lineno, file=None, line=None):
        text = str(message)
        if text not in shown:
            shown.add(text)
            print(f"warning: {text}", file=sys.stderr)

    return show
