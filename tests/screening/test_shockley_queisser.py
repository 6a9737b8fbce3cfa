"""The Shockley-Queisser limit against published values and a slower formula."""

import numpy as np
import pandas as pd
import pytest
from scipy.constants import c, e, h, k
from scipy.integrate import quad

from sklmat.screening import shockley_queisser

EFFICIENCY, CURRENT, VOLTAGE, FILL, POWER = (
    "efficiency (%)",
    "J_sc (mA/cm²)",
    "V_oc (V)",
    "fill factor",
    "power density (mW/cm²)",
)


def test_published_values_under_am15g():
    # Rühle, Solar Energy 130, 139 (2016): 33.7 % at 1.34 eV is the maximum.
    gaps = np.arange(0.5, 3, 0.01)
    limits = shockley_queisser(gaps)
    best = limits[EFFICIENCY].idxmax()
    assert gaps[best] == pytest.approx(1.34, abs=0.011)
    assert limits[EFFICIENCY].max() == pytest.approx(33.7, abs=0.1)
    # GaAs, the usual textbook values: 32 mA/cm², 1.16 V.
    gallium_arsenide = shockley_queisser(1.42)
    assert gallium_arsenide[CURRENT] == pytest.approx(32.0, abs=0.1)
    assert gallium_arsenide[VOLTAGE] == pytest.approx(1.16, abs=0.005)


def test_efficiency_is_no_monotone_function():
    low, dip, high = shockley_queisser([1.15, 1.22, 1.34])[EFFICIENCY]
    assert dip < low < high


def test_published_values_under_the_black_body():
    gaps = np.arange(0.5, 3, 0.01)
    sun = {"spectrum": "blackbody", "temperature": 300}
    limits = shockley_queisser(gaps, **sun)[EFFICIENCY]
    assert gaps[limits.idxmax()] == pytest.approx(1.3, abs=0.011)
    assert limits.max() == pytest.approx(31.0, abs=0.05)
    assert shockley_queisser(1.1, **sun)[EFFICIENCY] == pytest.approx(30.0, abs=0.05)
    # Shockley and Queisser's ultimate efficiency at zero temperature: 44 % at 1.1 eV.
    cold = shockley_queisser(1.1, spectrum="blackbody", temperature=0.5)
    assert cold[EFFICIENCY] == pytest.approx(44, abs=0.3)
    # The emission of the second face costs kT ln 2 of voltage.
    one = shockley_queisser(1.1, **sun)[VOLTAGE]
    two = shockley_queisser(1.1, **sun, back_reflector=False)[VOLTAGE]
    assert one - two == pytest.approx(k * 300 / e * np.log(2), rel=1e-6)


@pytest.mark.parametrize("gap", [0.4, 1.34, 2.5])
def test_against_integrals_and_a_search_on_a_grid(gap):
    pvlib = pytest.importorskip("pvlib", reason="needs pvlib, for its table of the spectrum")
    sun = pvlib.spectrum.get_reference_spectra(wavelengths=np.arange(280, 4000, 0.005))["global"]
    wavelengths = sun.index.to_numpy()
    absorbed = wavelengths <= h * c / (gap * e) * 1e9
    flux = (sun.to_numpy() * wavelengths * 1e-9 / (h * c))[absorbed]
    current = e * np.trapezoid(flux, wavelengths[absorbed]) / 10
    thermal = k * 298.15 / e
    integral = quad(lambda x: x**2 / np.expm1(x), gap / thermal, gap / thermal + 60)[0]
    dark = e * 2 * np.pi * (k * 298.15) ** 3 / (h**3 * c**2) * integral / 10
    voltages = np.linspace(0, gap, 200_001)
    powers = voltages * (current - dark * np.expm1(voltages / thermal))
    open_circuit = thermal * np.log(current / dark + 1)
    limits = shockley_queisser(gap)
    assert limits[CURRENT] == pytest.approx(current, rel=5e-5)
    assert limits[VOLTAGE] == pytest.approx(open_circuit, rel=1e-4)
    assert limits[POWER] == pytest.approx(powers.max(), rel=3e-4)
    assert limits[FILL] == pytest.approx(powers.max() / (current * open_circuit), rel=1e-4)
    assert limits[EFFICIENCY] == pytest.approx(limits[POWER] / 1.00037, rel=1e-5)


def test_rows_index_and_extremes():
    gaps = pd.Series([5.0, 1.34, 30.0], index=["glass", "best", "nothing"])
    limits = shockley_queisser(gaps)
    assert limits.index.tolist() == gaps.index.tolist()
    pd.testing.assert_series_equal(
        limits.loc["best"], shockley_queisser(1.34), check_names=False, rtol=1e-12
    )
    assert (limits.loc[["glass", "nothing"], [EFFICIENCY, CURRENT, VOLTAGE, POWER]] == 0).all(
        axis=None
    )
    assert limits.loc[["glass", "nothing"], FILL].isna().all()
    # The tail of the black body is so thin that J_0 underflows; the voltage does not.
    far = shockley_queisser(40.0, spectrum="blackbody")
    assert 0 < far[VOLTAGE] < 40
    assert far[FILL] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("spectrum", ["am1.5g", "blackbody"])
def test_metals_give_no_power(spectrum):
    gaps = pd.Series([0.0, 1.34, -0.0], index=["Al", "best", "Cu"])
    limits = shockley_queisser(gaps, spectrum=spectrum)
    numbers = [EFFICIENCY, CURRENT, VOLTAGE, POWER]
    assert (limits.loc[["Al", "Cu"], numbers] == 0).all(axis=None)
    assert limits.loc[["Al", "Cu"], FILL].isna().all()
    pd.testing.assert_series_equal(
        limits.loc["best"], shockley_queisser(1.34, spectrum=spectrum), check_names=False
    )
    assert shockley_queisser(0)[EFFICIENCY] == 0


def test_errors_name_rows_and_values():
    with pytest.raises(ValueError, match=r"2 of 4 rows are not \(1: -0\.1, 3: nan\).*np\.maximum"):
        shockley_queisser([1.0, -0.1, 0.0, np.nan])
    with pytest.raises(ValueError, match="1 of 1"):
        shockley_queisser(-1.0)
    with pytest.raises(ValueError, match=r"shape \(1, 1\)"):
        shockley_queisser([[1.0]])
    with pytest.raises(ValueError, match="blackbody"):
        shockley_queisser(1.0, spectrum="am0")
    with pytest.raises(ValueError, match="temperature"):
        shockley_queisser(1.0, temperature=0)
