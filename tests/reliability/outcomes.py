"""`outcome`: what a call did, in one word; clear errors are told from those of other libraries."""

import time
import traceback
import warnings
from pathlib import Path

import sklmat

OURS = str(Path(sklmat.__file__).parent)
#: Modules of scikit-learn whose errors say what is wrong with the input.
CLEAR = (
    "sklearn/utils/_param_validation.py",
    "sklearn/utils/validation.py",
    "sklearn/utils/multiclass.py",
    "sklearn/utils/class_weight.py",
    # The conversion of a table to numbers, in `check_array`.
    "sklearn/utils/_array_api.py",
    "sklearn/model_selection/_split.py",
    "sklearn/metrics/_scorer.py",
)
CLEAR_TYPES = (ValueError, TypeError, IndexError, FileNotFoundError, FileExistsError)
#: A training that diverges.
CLEAR_TYPES += (FloatingPointError,)
#: A call that takes longer hangs (s); a busy machine is slower than an idle one.
LONGEST = 5.0


def outcome(call):
    """Return "works", "clear error", or a description of what must not happen; and the error.

    What takes long is done again: the first call of a process imports packages.
    """
    result, error = _outcome(call)
    return _outcome(call) if result == "hangs" else (result, error)


def _outcome(call):
    start, error = time.process_time(), None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except Exception as raised:
        error = raised
    if time.process_time() - start > LONGEST:
        return "hangs", error
    if error is None:
        return "works", None
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if isinstance(error, OSError) and error.filename:
        return "clear error", error
    is_clear = isinstance(error, CLEAR_TYPES) and str(error)
    # Errors of compiled code have our lines as the last ones.
    is_ours = frame.filename.startswith(OURS) and frame.line.startswith("raise ")
    if is_clear and (is_ours or frame.filename.endswith(CLEAR)):
        return "clear error", error
    return f"raw {type(error).__name__} of {frame.filename}: {error} in {frame.line}", error
