"""The picture of how far methods of attribution agree shows their values."""

import numpy as np
import pandas as pd
import pytest

from sklmat import AttributionAgreementDisplay
from sklmat.inspection import AttributionAgreement

SITES = pd.DataFrame(
    {
        "row": [0, 0, 1],
        "site": [0, 1, 0],
        "element": ["Ni", "Al", "Ni"],
        "integrated_gradients": [0.1, -0.2, 0.3],
        "occlusion": [0.2, -0.1, 0.5],
        "shapley": [0.1, -0.2, 0.4],
    }
)
PAIRS = [
    ("integrated_gradients", "occlusion"),
    ("integrated_gradients", "shapley"),
    ("occlusion", "shapley"),
]
TABLE = pd.DataFrame(PAIRS, columns=["method", "other method"]).assign(
    **{"Spearman": [1.0, 0.5, -0.25], "same largest site": [1.0, 0.5, 0.0]}
)
AGREEMENT = AttributionAgreement(TABLE, SITES)


def test_panels_show_the_sites():
    display = AttributionAgreementDisplay.from_agreement(AGREEMENT, unit="eV")
    assert len(display.axes_) == 3
    for panel, (first, second) in zip(display.axes_, PAIRS):
        nickel, aluminium = panel.collections
        np.testing.assert_allclose(nickel.get_offsets(), SITES[[first, second]].iloc[[0, 2]])
        np.testing.assert_allclose(aluminium.get_offsets(), SITES[[first, second]].iloc[[1]])
        # From -0.2 to 0.5, and a margin of 5 %.
        np.testing.assert_allclose(panel.get_xlim(), [-0.235, 0.535])
        assert panel.get_xlim() == panel.get_ylim()
    assert display.axes_[2].get_xlabel() == "occlusion (eV)"
    assert display.axes_[2].get_ylabel() == "Shapley values (eV)"
    texts = [panel.get_title(loc="left") for panel in display.axes_]
    assert texts[1] == "rank correlation 0.50\nsame largest site: 50 %"
    assert texts[2].startswith("rank correlation −0.25")
    legend = display.axes_[-1].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["Ni", "Al"]


@pytest.mark.parametrize("n_panels", [1, 3])
def test_no_text_is_cut(n_panels):
    # The ticks are short numbers, so the panels are as wide as they can be.
    sites = SITES.copy()
    sites[["integrated_gradients", "occlusion", "shapley"]] *= 10
    agreement = AttributionAgreement(TABLE.iloc[:n_panels], sites)
    display = AttributionAgreementDisplay.from_agreement(agreement, unit="meV/atom")
    display.figure_.canvas.draw()
    page = display.figure_.bbox
    boxes = [panel.get_tightbbox() for panel in display.axes_]
    assert all(page.y0 <= box.y0 for box in boxes)
    assert all(box.y1 <= page.y1 for box in boxes)


def test_many_elements_have_no_colours():
    symbols = ["H", "Li", "Na", "K", "Rb", "Cs", "Mg", "Ca"]
    sites = pd.concat([SITES.iloc[[0]]] * 8, ignore_index=True).assign(element=symbols)
    display = AttributionAgreementDisplay.from_agreement(
        AttributionAgreement(TABLE.iloc[:1], sites), limits=(-1, 1)
    )
    (points,) = display.ax_.collections
    assert len(points.get_offsets()) == 8
    assert display.ax_.get_legend() is None
    assert display.ax_.get_xlim() == (-1, 1)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="3 panels do not fit on 1 axes"):
        AttributionAgreementDisplay.from_agreement(
            AGREEMENT, ax=AttributionAgreementDisplay.from_agreement(AGREEMENT).ax_
        )
    with pytest.raises(TypeError, match="must be from attribution_agreement"):
        AttributionAgreementDisplay.from_agreement(SITES)
