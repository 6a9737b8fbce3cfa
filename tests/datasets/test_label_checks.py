"""Checks that find wrong labels."""

import numpy as np
import pytest

from sklmat.datasets import check_energies, check_magnetizations


def test_energy_fit_resists_outliers():
    rng = np.random.default_rng(0)
    fractions = rng.dirichlet([1, 1, 1], size=60)
    mu = np.array([-3.0, -5.0, -8.0])
    alloys = [dict(zip(("Cu", "Ni", "Fe"), row)) for row in fractions]
    e_form = rng.normal(0, 0.05, 60)
    e_total = e_form + fractions @ mu
    wrong = rng.choice(60, 20, replace=False)
    e_total[wrong] += rng.uniform(0.1, 2, 20)  # all to one side, where a mean would follow
    report = check_energies(alloys, e_total, e_form)
    assert sorted(report.index[report["flagged"]]) == sorted(wrong)
    found = report.attrs["references"]
    assert found == pytest.approx(dict(zip(("Cu", "Ni", "Fe"), mu)), abs=1e-9)


def test_energy_row_that_nothing_checks():
    alloys = ["Fe", "Ni", "FeNi", "FeNi3", "FeCo"]
    report = check_energies(alloys, [-8.2, -5.5, -6.85, -6.175, 40.0], np.zeros(5))
    assert report["checkable"].tolist() == [True, True, True, True, False]
    assert not report["flagged"].any()


@pytest.mark.parametrize(
    ("alloys", "total", "options", "message"),
    [
        (["Fe", "Ni"], [1.0], {}, r"total_energy has shape \(1,\), expected \(2,\)"),
        (["Fe", "Ni"], [1.0, np.nan], {}, r"total_energy is not finite in rows \[1\]"),
        (["Fe", "Ni"], [1.0, 2.0], {"references": {"Fe": 1.0}}, "no element 'Ni'"),
        (["Fe"], [1.0], {"references": {"a": {}}, "groups": ["b"]}, "no group 'b'"),
        (["Fe", "Ni"], [1.0, 2.0], {"groups": ["b"]}, "groups has shape"),
        (["Fe", "not one"], [1.0, 2.0], {}, "row 1: 'not one' has no composition"),
        (["Fe", {}], [1.0, 2.0], {}, "row 1: {} has no atoms"),
    ],
)
def test_energy_check_refuses(alloys, total, options, message):
    with pytest.raises(ValueError, match=message):
        check_energies(alloys, total, [0.0] * len(total), **options)


def test_single_alloy_is_refused():
    with pytest.raises(TypeError, match="put it into a list"):
        check_energies("Fe3Ni", [1.0], [0.0])


def test_magnetization_of_iron():
    """2.22 μB/atom is 222 emu/g: 2.22 x 9.274e-21 emu x 6.022e23 / 55.845 g."""
    report = check_magnetizations(["Fe"], [0.0], [2.22])
    assert report["flagged"].tolist() == [True]
    by_hand = 2.22 * 9.274e-21 * 6.022e23 / 55.845
    exact = check_magnetizations(["Fe"], [by_hand], [2.22])
    assert exact["relative residual"][0] == pytest.approx(0, abs=1e-4)
    assert by_hand == pytest.approx(222, abs=0.5)
