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
#: Advice for Python -> advice for the command line.
_ADVICE = {
    "pass on_invalid='drop' to leave them out and list them in `rejected`": (
        "use --on-invalid drop to leave them out"
    ),
    "with target=, or several in a list": "with --target",
    "use atom_init='physical'": "use the model cgcnn",
}


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
            print(f"{parser.prog} {options.command}: {_in_own_words(error)}", file=sys.stderr)
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


def _in_own_words(error):
    """The message of an error, without what only Python users can do."""
    message = str(error)
    for for_python, for_command_line in _ADVICE.items():
        message = message.replace(for_python, for_command_line)
    return message


def _print_once(shown):
    """Function that prints each warning once, without the line of code that it came from."""

    def show(message, category, filename, lineno, file=None, line=None):
        text = str(message)
        if text not in shown:
            shown.add(text)
            print(f"warning: {text}", file=sys.stderr)

    return show
