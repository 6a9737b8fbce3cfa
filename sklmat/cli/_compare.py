"""``sklmat compare``: cross-validation of several models on one data set."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from sklmat.cli._arguments import (
    add_model_settings,
    add_out,
    add_source,
    needed_target,
    new_parser,
    read_rows,
    rows_by_id,
    write_csv,
)
from sklmat.cli._check import without_nan
from sklmat.cli._models import DEFAULT_MODELS, DESCRIPTION, OF_FORMULAS, REGRESSORS, make_model
from sklmat.cli._task import choose_task
from sklmat.files import replace_file

_SPLITS = ("shuffled", "composition", "chemical-system", "prototype")


def add_parser(commands):
    """Add the command to the parser."""
    parser = new_parser(
        commands,
        "compare",
        "compare models by cross-validation",
        "Cross-validate models on the same folds and print mean and standard deviation of their\n"
        "scores over the folds. With --out, also write scores.json, predictions.csv (out of\n"
        "fold, with ids) and a picture.\n\n" + DESCRIPTION,
        "sklmat compare my_folder --target energy --models random-forest cgcnn --out results",
    )
    add_source(parser)
    parser.add_argument(
        "--models",
        nargs="+",
        choices=list(REGRESSORS),
        metavar="MODEL",
        help=f"default: {' '.join(DEFAULT_MODELS)}, or all that take formulas with --formula",
    )
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument(
        "--split",
        choices=_SPLITS,
        default="composition",
        help="what training and test rows may not have in common: nothing (shuffled), the "
        "composition (default), the chemical system or the prototype",
    )
    add_model_settings(parser)
    add_out(parser, "folder for the results", required=False)
    parser.set_defaults(run=run)


def run(options):
    """Print the table, and write the results."""
    from sklmat.model_selection import compare_estimators

    if options.formula and options.split == "prototype":
        raise ValueError("--split prototype needs structures, and a formula has none")
    folder = _results_folder(options)
    rows = read_rows(options)
    target = choose_task(options.task, needed_target(rows))
    y = target.y
    names = options.models or (OF_FORMULAS if options.formula else DEFAULT_MODELS)
    models = {name: _model(name, target.task, options) for name in names}
    print(
        f"{len(y)} {'compositions' if options.formula else 'crystals'}, target: {rows.target}; "
        f"{options.folds} folds, split: {options.split}",
        flush=True,
    )
    folds = _folds(target, rows, options)
    with rows_by_id(rows, "no training row of their fold has"):
        table = compare_estimators(
            models,
            rows.X,
            y,
            cv=folds,
            scoring=_scoring(target.task, y, folds),
            n_jobs=options.n_jobs,
            verbose=sys.stderr.isatty(),
        )
    print(table)
    if folder is not None:
        _write_results(folder, table, rows, target, options)
    return 1 if rows.rejected else 0


def _model(name, task, options):
    return make_model(
        name,
        task,
        seed=options.seed,
        epochs=options.epochs,
        of_formulas=options.formula is not None,
    )


def _folds(target, rows, options):
    try:
        return list(_splitter(target.task, options).split(rows.X, target.y))
    except ValueError as error:
        if "n_splits" not in str(error):
            raise
        advice = "use another number of --folds, or another --split"
        raise ValueError(f"{str(error).rstrip('.')}; {advice}") from error


def _splitter(task, options):
    from sklearn.model_selection import KFold, StratifiedKFold

    from sklmat import model_selection

    settings = {"n_splits": options.folds, "shuffle": True, "random_state": options.seed}
    shuffled = StratifiedKFold if task == "classification" else KFold
    splitter = {
        "shuffled": shuffled,
        "composition": model_selection.CompositionGroupKFold,
        "chemical-system": model_selection.ChemicalSystemGroupKFold,
        "prototype": model_selection.PrototypeGroupKFold,
    }[options.split]
    return splitter(**settings)


def _scoring(task, y, folds):
    """The usual metrics; without those that need all classes in every fold, where they are not."""
    n_classes = len(np.unique(y))
    if task == "regression" or all(len(np.unique(y[test])) == n_classes for _, test in folds):
        return None
    return {"accuracy": "accuracy", "balanced accuracy": "balanced_accuracy"}


def _results_folder(options):
    if options.out is None:
        return None
    folder = Path(options.out).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not options.overwrite:
        raise FileExistsError(f"{folder} exists; choose another name, or use --overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_results(folder, table, rows, target, options):
    import matplotlib

    matplotlib.use("Agg")
    predictions = table.predictions.copy()
    if target.classes is not None:
        columns = ["y_true", *table.index]
        predictions[columns] = np.array(target.classes, dtype=object)[predictions[columns]]
    predictions.insert(0, "id", rows.ids[predictions["row"].to_numpy(dtype=int)])
    write_csv(predictions, folder / "predictions.csv")
    document = {
        "source": str(options.source),
        "target": rows.target,
        "unit": options.unit,
        "task": target.task,
        "split": options.split,
        "folds": options.folds,
        "seed": options.seed,
        "n_rows": len(rows.X),
        "left_out": rows.rejected,
        "classes": target.classes,
        "models": table.to_dict(orient="index"),
        "scores": table.scores.to_dict(orient="records"),
    }
    with replace_file(folder / "scores.json") as temporary:
        temporary.write_text(json.dumps(without_nan(document), indent=2, default=float))
    name = "parity.png" if target.task == "regression" else "confusion.png"
    _draw(table, target, rows.target, options.unit, folder / name)
    print(f"written: {folder / 'scores.json'}, {folder / 'predictions.csv'}, {folder / name}")


def _draw(table, target, quantity, unit, path):
    import matplotlib.pyplot as plt
    from sklearn.metrics import ConfusionMatrixDisplay

    from sklmat.plotting import ParityDisplay

    if target.task == "regression":
        figure = ParityDisplay.from_comparison(table, quantity=quantity, unit=unit).figure_
    else:
        names = list(table.index)
        figure, axes = plt.subplots(1, len(names), figsize=(3.3 * len(names), 3.3), squeeze=False)
        for ax, name in zip(axes[0], names):
            ConfusionMatrixDisplay.from_predictions(
                table.predictions["y_true"],
                table.predictions[name],
                display_labels=target.classes,
                ax=ax,
                colorbar=False,
            )
            ax.set_title(name)
        figure.tight_layout()
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    plt.close(figure)
