"""The command line: ``sklmat check SOURCE``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        What follows the name of the program; None takes ``sys.argv``.

    Returns
    -------
    code : int
        Exit code: 0 if nothing was found, 1 if something was, 2 if the check could not run.
    """
    parser = _make_parser()
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError, TypeError) as error:
        print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog} {options.command}: interrupted", file=sys.stderr)
        return 2


def _make_parser():
    parser = argparse.ArgumentParser(prog="sklmat", description="Machine learning on crystals.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="check a data set of crystals",
        description="Say what cannot be read in a data set, which crystals occur twice, and which "
        "labels may be wrong. Exit code: 0 if nothing was found, 1 if something was, 2 if the "
        "check could not run.",
    )
    check.add_argument("source", help="file, folder or table, whatever load_structures reads")
    check.add_argument("--target", metavar="NAME", help="column of the target")
    check.add_argument("--id", metavar="NAME", help="column of the ids")
    check.add_argument("--json", action="store_true", help="print JSON instead of text")
    check.add_argument("--n-jobs", type=int, metavar="N", help="number of processes")
    check.set_defaults(run=_check)
    return parser


def _check(options):
    from sklmat.data_checks import check_dataset

    report = check_dataset(
        options.source,
        target=options.target,
        id=options.id,
        n_jobs=options.n_jobs,
        verbose=sys.stderr.isatty(),
    )
    print(json.dumps(_without_nan(report.to_dict()), indent=2) if options.json else report)
    return 1 if report.findings else 0


def _without_nan(value):
    """NaN is not valid JSON."""
    if isinstance(value, dict):
        return {name: _without_nan(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and value != value else value
