"""Code of the README, and what makes its example shorter."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

#: Text of the example -> what replaces it in quick runs.
SHORTER = {
    "make_alloys(100,": "make_alloys(24,",
    "cells[:80], cells[80:], energies[:80]": "cells[:18], cells[18:], energies[:18]",
    "max_epochs=30": "max_epochs=2",
    # No network that is trained so little wins otherwise.
    'baselines("regression")["XGBoost, composition and structure"]': (
        '__import__("sklearn.dummy").dummy.DummyRegressor(strategy="constant", constant=100.0)'
    ),
}


def blocks(language, text=README):
    """Blocks of code in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def example_code(shorter=SHORTER):
    """Code of the example, with texts replaced."""
    _, code = blocks("python")
    for text, replacement in shorter.items():
        assert code.count(text) == 1, f"{text!r} is no longer in the README: change it here too"
        code = code.replace(text, replacement)
    return code
