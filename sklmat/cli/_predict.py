"""``sklmat predict``: predictions of a saved model as a CSV file."""

from __future__ import annotations

import numpy as np

from sklmat.cli._arguments import (
    add_out,
    add_source,
    atomic_numbers,
    new_parser,
    read_rows,
    refuse_existing,
    rows_by_id,
    text,
    write_csv,
)
from sklmat.cli._model_file import load_model
from sklmat.cli._models import OF_FORMULAS
from sklmat.unseen_elements import find_unseen_elements, warn_unseen_elements


def add_parser(commands):
    """Add the command to the parser."""
    parser = new_parser(
        commands,
        "predict",
        "predict with a model of sklmat fit",
        "Write a CSV file with id, formula and prediction of each row; for classes also their\n"
        "probabilities, for ensembles and Gaussian processes of numbers also the standard\n"
        "deviation. The ids are those of --id, else of the column that sklmat fit was given, if\n"
        "the new table has it. The source needs the columns that --extra of sklmat fit named.\n"
        "Exit code: 0, or 1 if rows were left out (--on-invalid drop).",
        "sklmat predict energy.sklmat new_folder --out predictions.csv",
    )
    parser.add_argument("model", type=text, help="file that sklmat fit has written")
    add_source(parser, target=False)
    add_out(parser, "CSV file of the predictions")
    parser.set_defaults(run=run)


def run(options):
    """Predict all rows and write them."""
    import pandas as pd

    path = refuse_existing(options.out, options.overwrite)
    fitted = load_model(options.model)
    if fitted.of_formulas and not options.formula:
        raise ValueError("the model was fitted on formulas; name their column with --formula")
    # A Gaussian process that was fitted on structures needs their lattice.
    of_lattice = fitted.name == "gaussian-process" and not fitted.of_formulas
    if options.formula and (of_lattice or fitted.name not in OF_FORMULAS):
        raise ValueError(f"the model {fitted.name} needs structures; leave out --formula")
    rows = read_rows(options, fitted.id, getattr(fitted.model, "extra", None))
    table = pd.DataFrame({"id": rows.ids, "formula": [_formula(item) for item in rows.X]})
    with rows_by_id(rows):
        _add_predictions(table, fitted, rows.inputs)
        if fitted.elements is not None:
            numbers = [atomic_numbers(item) for item in rows.X]
            places = np.repeat(np.arange(len(numbers)), [len(of_row) for of_row in numbers])
            unseen = find_unseen_elements(places, np.concatenate(numbers), fitted.elements)
            warn_unseen_elements(unseen, "the model extrapolates")
    write_csv(table, path)
    print(f"written: {path} ({len(table)} rows)")
    return 1 if rows.rejected else 0


def _add_predictions(table, fitted, X):
    """Add the columns of the predictions to the table."""
    if fitted.has_deviation:
        table[fitted.column], deviation = fitted.model.predict(X, return_std=True)
        table[f"standard deviation of {fitted.column}"] = deviation
    elif fitted.classes is None:
        table[fitted.column] = fitted.model.predict(X)
    else:
        classes = np.asarray(fitted.classes)
        predicted = np.asarray(fitted.model.predict(X), dtype=int)
        table[fitted.column] = classes[predicted]
        probabilities = fitted.model.predict_proba(X)
        for label, column in zip(fitted.classes, probabilities.T):
            table[f"probability of {label}"] = column


def _formula(item):
    return item if isinstance(item, str) else item.composition.reduced_formula
