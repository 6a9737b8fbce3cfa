"""``sklmat check``: what is wrong with a data set."""

from __future__ import annotations

import json
import sys

from sklmat.cli._arguments import new_parser, text


def add_parser(commands):
    """Add the command to the parser."""
    parser = new_parser(
        commands,
        "check",
        "check a data set of crystals",
        "Say what cannot be read in a data set, which crystals occur twice, and which labels may\n"
        "be wrong. Exit code: 0 if nothing was found, 1 if something was, 2 if the check could\n"
        "not run.",
        "sklmat check my_folder --target energy",
    )
    parser.add_argument(
        "source", type=text, help="file, folder or table, whatever load_structures reads"
    )
    parser.add_argument("--target", type=text, metavar="NAME", help="column of the target")
    parser.add_argument("--id", type=text, metavar="NAME", help="column of the ids")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--n-jobs", type=int, metavar="N", help="number of processes")
    parser.set_defaults(run=run)


def run(options):
    """Print the report."""
    from sklmat.data_checks import check_dataset

    report = check_dataset(
        options.source,
        target=options.target,
        id=options.id,
        n_jobs=options.n_jobs,
        verbose=sys.stderr.isatty(),
    )
    print(json.dumps(without_nan(report.to_dict()), indent=2) if options.json else report)
    return 1 if report.findings else 0


def without_nan(value):
    """NaN is not valid JSON."""
    if isinstance(value, dict):
        return {name: without_nan(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and value != value else value
