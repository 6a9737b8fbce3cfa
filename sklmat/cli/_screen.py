"""``sklmat screen``: predictions for a grid of compositions."""

from __future__ import annotations

import sys

from sklmat.cli._arguments import add_out, new_parser, refuse_existing, text, write_csv
from sklmat.cli._model_file import load_model


def add_parser(commands):
    """Add the command to the parser."""
    parser = new_parser(
        commands,
        "screen",
        "predict a grid of compositions",
        "Predict all compositions of a grid with a model that was fitted by\n"
        "sklmat fit --model gaussian-process, and write all or the best ones.",
        "sklmat screen energy.sklmat --elements Fe Ni Cr --step 0.05 --keep 20 --out best.csv",
    )
    parser.add_argument("model", type=text, help="file that sklmat fit has written")
    parser.add_argument("--elements", type=text, nargs="+", required=True, metavar="SYMBOL")
    parser.add_argument("--step", type=float, default=0.05, help="default: 0.05")
    parser.add_argument(
        "--phases", type=text, nargs="+", metavar="PHASE", help="default: those of the model"
    )
    parser.add_argument("--keep", type=int, metavar="N", help="number of best rows; default: all")
    parser.add_argument("--largest", action="store_true", help="the best rows are the largest")
    parser.add_argument("--n-jobs", type=int, metavar="N", help="number of processes")
    add_out(parser, "CSV or Parquet file")
    parser.set_defaults(run=run)


def run(options):
    """Predict the grid and write it."""
    from sklmat.screening import composition_grid, screen

    path = refuse_existing(options.out, options.overwrite)
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"--out must end with .csv or .parquet, got {path}")
    fitted = load_model(options.model)
    if fitted.name != "gaussian-process" or fitted.classes is not None:
        raise ValueError(
            f"{options.model} holds the model {fitted.name}; screen needs one of sklmat fit "
            "--model gaussian-process on a number"
        )
    if options.largest and options.keep is None:
        raise ValueError("--largest chooses the best rows; say how many with --keep")
    settings = {
        "phases": options.phases,
        "targets": fitted.column,
        "keep": "all" if options.keep is None else options.keep,
        "by": None if options.keep is None else fitted.column,
        "largest": options.largest,
        "n_jobs": options.n_jobs,
        "verbose": sys.stderr.isatty(),
    }
    grid = composition_grid(options.elements, options.step)
    model = fitted.model[-1]
    if path.suffix == ".parquet":
        screen(model, grid, out=path, overwrite=options.overwrite, **settings)
    else:
        write_csv(screen(model, grid, **settings), path)
    print(f"written: {path} ({grid.n_points} compositions in the grid)")
    return 0
