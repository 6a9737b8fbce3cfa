"""`shockley_queisser`: efficiency limit of a solar cell as a function of its band gap."""

from __future__ import annotations

from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.constants import c, e, h, k, sigma
from scipy.special import wrightomega

from sklmat.argument_checks import checked_arguments
from sklmat.targets import number_array

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike

#: Temperature of the black body (K).
SUN_TEMPERATURE = 6000.0
#: Below it, exponents overflow (K).
_COLDEST = 0.001
#: Fraction of the black-body emission that reaches the cell: the sun has a diameter of 1.39 Gm and
#: a distance of 149 Gm.
SUN_DILUTION = (1.39 / 149 / 2) ** 2
COLUMNS = [
    "efficiency (%)",
    "J_sc (mA/cm²)",
    "V_oc (V)",
    "fill factor",
    "power density (mW/cm²)",
]


@checked_arguments()
def shockley_queisser(
    gap: float | ArrayLike,
    *,
    spectrum: Literal["am1.5g", "blackbody"] = "am1.5g",
    temperature: float = 298.15,
    back_reflector: bool = True,
) -> pd.DataFrame | pd.Series:
    """Compute the efficiency limit of single-junction solar cells by detailed balance.

    Every photon with an energy above the gap generates one electron, and the only loss is the
    radiative emission of the cell [1]_.

    Parameters
    ----------
    gap : float or array-like of shape (n,)
        Band gaps (eV); zero for a metal. The index of a Series is kept.
    spectrum : {"am1.5g", "blackbody"}, default="am1.5g"
        "am1.5g": the global tilted spectrum of ASTM G173-03 [3]_, 1000.4 W/m², the present
        standard.
        "blackbody": a sun of 6000 K, 1600 W/m², as in the original paper.
    temperature : float, default=298.15
        Temperature of the cell (K), from 0.001 to below 6000; the standard test conditions have
        25 °C.
    back_reflector : bool, default=True
        Whether a perfect mirror behind the cell restricts its emission to the front, as is usual
        today. The cell of the original paper emits from both faces.

    Returns
    -------
    limits : DataFrame with n rows; Series for a single gap
        Efficiency (%), J_sc (mA/cm²), V_oc (V), fill factor, and power density (mW/cm²) at the
        maximum power point.

    Raises
    ------
    ValueError
        When gaps are negative or not finite (the message names the rows), or when a parameter is
        not one of the values above.

    Notes
    -----
    The current density at a voltage V is ``J_sc - J_0 (exp(qV / kT) - 1)``, where J_0 is the
    emission of the cell in the dark. The voltage of maximum power is computed exactly, with the
    Wright omega function. The occupation of the emitted modes is neglected; this matters only if
    the gap is a few kT.

    The efficiency is not a monotone function of the gap. Under AM1.5G it is above 33 % from 1.10 to
    1.44 eV, with two maxima that result from absorption bands of the atmosphere: 33.6 % at 1.15 eV
    and 33.8 % at 1.34 eV; [2]_ gives 33.7 % at 1.34 eV. With the black-body spectrum, a cell at 300
    K has a maximum of 31.0 % at 1.31 eV with a reflector, and of 30.4 % at 1.32 eV without it. At
    1.1 eV, where [1]_ gives a maximum of 30 %, it has 30.0 % with a reflector and 29.4 % without
    it.

    The tabulated spectrum ends at 280 and 4000 nm. A gap above 4.43 eV absorbs no photons: the
    values are zero, and the fill factor is NaN. Below 0.31 eV a smaller gap absorbs no additional
    photons.

    A metal (gap 0) has no voltage and gives no power: all values are zero, and the fill factor is
    NaN. So is J_sc, since nothing separates electrons from holes.

    References
    ----------
    .. [1] Shockley, Queisser, J. Appl. Phys. 32, 510 (1961), :doi:`10.1063/1.1736034`
    .. [2] Rühle, Sol. Energy 130, 139 (2016), :doi:`10.1016/j.solener.2016.02.015`
    .. [3] National Renewable Energy Laboratory, Reference Air Mass 1.5 Spectra (ASTM G173-03),
       computed with SMARTS 2.9.2. The values are those of pvlib 0.16.1.

    Examples
    --------
    >>> from sklmat.screening import shockley_queisser
    >>> limits = shockley_queisser([1.12, 1.34, 1.6])
    >>> limits[["efficiency (%)", "J_sc (mA/cm²)", "V_oc (V)"]].round(2)
       efficiency (%)  J_sc (mA/cm²)  V_oc (V)
    0           33.48          43.81      0.88
    1           33.76          35.03      1.08
    2           30.58          25.47      1.33
    """
    gaps = _check_gaps(gap)
    metals = gaps == 0
    if not isinstance(temperature, Real) or not _COLDEST <= temperature < SUN_TEMPERATURE:
        raise ValueError(
            f"temperature must be from {_COLDEST} K to below {SUN_TEMPERATURE:.0f} K, that of the "
            f"sun, got {temperature!r}"
        )
    # The formulas have no finite value for metals, which get theirs below.
    positive = np.where(metals, 1.0, gaps)
    if spectrum == "am1.5g":
        power, photons = _am15g()[0], _photons_am15g(positive)
    elif spectrum == "blackbody":
        power = SUN_DILUTION * sigma * SUN_TEMPERATURE**4
        photons = SUN_DILUTION * np.exp(_log_photons_emitted(positive, SUN_TEMPERATURE))
    else:
        raise ValueError(f"spectrum must be 'am1.5g' or 'blackbody', got {spectrum!r}")
    limits = _limits(positive, power, photons, temperature, faces=1 if back_reflector else 2)
    for name, column in zip(COLUMNS, limits):
        column[metals] = np.nan if name == "fill factor" else 0.0
    if np.ndim(gap) == 0:
        return pd.Series([column[0] for column in limits], COLUMNS)
    index = gap.index if isinstance(gap, pd.Series) else None
    return pd.DataFrame(dict(zip(COLUMNS, limits)), index=index)


def _check_gaps(gap):
    """Return the gaps (eV) as an array of one dimension, or raise a ValueError."""
    gaps = np.atleast_1d(number_array(gap, "gap"))
    if gaps.ndim != 1:
        raise ValueError(f"gap must be a number or of one dimension, got shape {gaps.shape}")
    wrong = np.flatnonzero(~(np.isfinite(gaps) & (gaps >= 0)))
    if len(wrong):
        rows = ", ".join(f"{row}: {gaps[row]}" for row in wrong[:5].tolist())
        raise ValueError(
            f"gaps must be numbers of eV, zero for metals, but {len(wrong)} of {len(gaps)} rows "
            f"are not ({rows}): if negative predictions mean metals, pass np.maximum(gaps, 0), and "
            "leave missing values out"
        )
    return gaps


def _limits(gaps, power, photons, temperature, faces):
    """Compute the table from the sun's power (W/m²) and absorbed photons (1/m²/s)."""
    thermal = k * temperature / e  # V
    log_emitted = np.log(faces) + _log_photons_emitted(gaps, temperature)
    emitted = np.exp(log_emitted)
    with np.errstate(divide="ignore", invalid="ignore"):  # no photons: no current, no fill factor
        open_circuit = np.logaddexp(np.log(photons) - log_emitted, 0)
        # With v = qV / kT the power v (J_sc + J_0 - J_0 exp(v)) is largest where
        # (1 + v) exp(v) = J_sc / J_0 + 1.
        voltage = wrightomega(1 + open_circuit) - 1
        density = e * thermal * voltage**2 / (1 + voltage) * (photons + emitted)  # W/m²
        fill_factor = density / (e * photons * thermal * open_circuit)
    # 1 W/m² is 0.1 mW/cm², and 1 A/m² 0.1 mA/cm².
    efficiency = 100 * density / power
    return efficiency, e * photons / 10, thermal * open_circuit, fill_factor, density / 10


def _log_photons_emitted(gaps, temperature):
    """Logarithm of the photons (1/m²/s) above each gap (eV) that a black body emits per area."""
    x = gaps[:, None] * e / (k * temperature)
    t, weights = np.polynomial.laguerre.laggauss(40)
    # Integral of y² / (exp(y) - 1) from x to infinity, with y = x + t and without a factor exp(-x).
    integral = (x + t) ** 2 / -np.expm1(-(x + t)) @ weights
    return np.log(2 * np.pi / (h**3 * c**2) * (k * temperature) ** 3 * integral) - x[:, 0]


@lru_cache(maxsize=1)
def _am15g():
    """Power (W/m²), wavelengths (nm), photons (1/m²/s/nm) and their cumulative integral."""
    table = pd.read_csv(Path(__file__).with_name("am15g_spectrum.csv"))
    wavelengths, irradiance = table.to_numpy(dtype=float).T
    density = irradiance * wavelengths * 1e-9 / (h * c)
    steps = np.diff(wavelengths)
    integral = np.append(0, np.cumsum(steps * (density[1:] + density[:-1]) / 2))
    return np.trapezoid(irradiance, wavelengths), wavelengths, density, integral


def _photons_am15g(gaps):
    """Photons (1/m²/s) of AM1.5G above each gap (eV)."""
    _, wavelengths, density, integral = _am15g()
    edge = np.clip(h * c / (e * gaps) * 1e9, wavelengths[0], wavelengths[-1])
    interval = np.clip(
        np.searchsorted(wavelengths, edge, side="right") - 1, 0, len(wavelengths) - 2
    )
    at_edge = np.interp(edge, wavelengths, density)
    beyond = (edge - wavelengths[interval]) * (density[interval] + at_edge) / 2
    return integral[interval] + beyond
