"""``sklmat fit``: fit one model and write it to a file."""

from __future__ import annotations

import sys

import numpy as np

from sklmat.cli._arguments import (
    add_model_settings,
    add_out,
    add_source,
    atomic_numbers,
    needed_target,
    new_parser,
    positive_int,
    read_rows,
    refuse_existing,
    rows_by_id,
    text,
)
from sklmat.cli._model_file import FittedModel, save_model
from sklmat.cli._models import DESCRIPTION, NETWORKS, REGRESSORS, make_model
from sklmat.cli._task import choose_task


def add_parser(commands):
    """Add the command to the parser."""
    parser = new_parser(
        commands,
        "fit",
        "fit a model and write it to a file",
        "Fit one model on all rows and write it to a file for sklmat predict or sklmat screen.\n"
        "Loading such a file executes nothing that it holds.\n\n" + DESCRIPTION,
        "sklmat fit my_folder --target energy --model cgcnn --out energy.sklmat",
    )
    add_source(parser)
    parser.add_argument(
        "--model", required=True, choices=list(REGRESSORS), metavar="MODEL", help="see above"
    )
    add_model_settings(parser)
    parser.add_argument(
        "--ensemble",
        type=positive_int,
        default=1,
        metavar="N",
        help="number of networks that are averaged (default: 1); with two or more, sklmat predict "
        "also writes their standard deviation",
    )
    parser.add_argument(
        "--extra",
        type=text,
        nargs="+",
        metavar="NAME",
        help="further columns of numbers that a network reads beside the structures, such as a "
        "temperature; sklmat predict needs a source that has them too",
    )
    add_out(parser, "file of the model")
    parser.set_defaults(run=run)


def run(options):
    """Fit and save the model."""
    path = refuse_existing(options.out, options.overwrite)
    if options.extra and options.model not in NETWORKS:
        raise ValueError(f"--extra is for {' and '.join(NETWORKS)}, not for {options.model}")
    rows = read_rows(options, extra=options.extra)
    task, y, classes = choose_task(options.task, needed_target(rows))
    of_formulas = options.formula is not None
    model = make_model(
        options.model,
        task,
        seed=options.seed,
        epochs=options.epochs,
        of_formulas=of_formulas,
    )
    if options.model in NETWORKS:
        model.set_params(
            n_ensemble=options.ensemble,
            extra=options.extra,
            verbose=sys.stderr.isatty(),
            n_jobs=options.n_jobs,
        )
    elif options.ensemble != 1:
        raise ValueError(f"--ensemble is for {' and '.join(NETWORKS)}, not for {options.model}")
    with rows_by_id(rows):
        model.fit(rows.inputs, y)
    if options.model in NETWORKS:
        model.set_params(verbose=False, n_jobs=None)
    save_model(
        FittedModel(
            model,
            options.model,
            rows.target or "target",
            classes,
            of_formulas,
            options.unit,
            options.id,
            np.unique(np.concatenate([atomic_numbers(item) for item in rows.X])).tolist(),
        ),
        path,
    )
    print(f"written: {path} ({options.model}, fitted on {len(y)} rows)")
    return 1 if rows.rejected else 0
