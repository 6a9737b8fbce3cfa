"""Loops over edges of `CompiledMessages`, compiled by numba for the processor at hand.

Each function does one step for the edges of one block. Blocks share no atoms, so that several
threads can work on different blocks; each sum is taken in the same order for any number of threads.
The functions take arrays in single precision, and indices in int64:

bounds : ndarray of shape (B + 1,)
    First edge of each block, and the number of all edges, E.
terms : ndarray of shape (N, 4 F)
    Contributions of each atom to z, as the target and then as the source of an edge.
source, target : ndarray of shape (E,)
first : ndarray of shape (E,)
    Index of the first Gaussian of each edge.
gaussians : ndarray of shape (E, K)
    Values of consecutive Gaussians.
weight : ndarray of shape (G, 2 F)
    Linear map of the Gaussians.
z : ndarray of shape (E, 2 F)
scale, shift : ndarray of shape (2 F,)
    Factor and constant of the normalisation of z.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

#: Number of consecutive Gaussians of an edge, K. If their width is the distance between centres, at
#: most 11 are above 1e-12.
N_GAUSSIANS = 11
# Edges whose products are added to the gradient of the weight at once.
_N_WAITING = 4
# Rows whose sum is taken in single precision, before it is added in double precision.
_N_ROWS = 128
# Exponents are limited to this magnitude, so that no product is a denormal number or infinite.
_LARGEST = np.float32(40)
_ZERO, _ONE, _TWO = (np.float32(number) for number in (0, 1, 2))


def _compiled(function: Any) -> Any:
    """Compile without the global lock of Python; keep the result on disk where that is possible."""
    # Sums may be taken in the order of a processor's vectors, which is always the same.
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder of the package or of the user can be written
        return numba.njit(**options)(function)


def _inlined(function: Any) -> Any:
    return numba.njit(inline="always", error_model="numpy", fastmath={"contract"})(function)


# Polynomials for 2^x from -1/2 to 1/2, and for artanh(s) / s in s² from 0 to 1/9, from a fit at
# Chebyshev points; the relative errors are below 2e-8, less than the rounding.
_P0, _P1, _P2, _P3, _P4, _P5, _P6 = (
    np.float32(number)
    for number in (
        1,
        0.693147207,
        0.240226512,
        0.0555032721,
        0.0096180256,
        1.34004322e-3,
        1.5469732e-4,
    )
)
_A0, _A1, _A2, _A3, _A4 = (
    np.float32(number) for number in (1, 0.33333158, 0.20012427, 0.13980709, 0.14087329)
)
_LOG2_E = np.float32(np.log2(np.e))
_HALF, _BIAS, _MANTISSA = np.float32(0.5), np.int32(127), np.int32(23)


@_inlined
def _exp(x):
    """exp(x), limited to the range from exp(-40) to exp(40)."""
    x = min(max(x, -_LARGEST), _LARGEST) * _LOG2_E
    power = np.floor(x + _HALF)
    x = x - power
    # Pairs of terms do not wait for each other.
    q = x * x
    y = (_P0 + _P1 * x) + q * ((_P2 + _P3 * x) + q * ((_P4 + _P5 * x) + q * _P6))
    return y * np.int32((np.int32(power) + _BIAS) << _MANTISSA).view(np.float32)


@_inlined
def _log1p(s):
    """log(1 + x) for x from 0 to 1, as 2 artanh(s) with s = x / (2 + x)."""
    q = s * s
    return _TWO * s * ((_A0 + _A1 * q) + (q * q) * ((_A2 + _A3 * q) + (q * q) * _A4))


@_inlined
def _eleven(row):
    """Values of the Gaussians of an edge as a tuple, which stays in registers."""
    a, b, c, d, e, f, g, h = row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7]
    return a, b, c, d, e, f, g, h, row[8], row[9], row[10]


@_inlined
def _linear(j, a, b, k, values, weight):
    """Component j of z: terms of both atoms, and the Gaussians from k times their weights."""
    return (
        (a[j] + b[j])
        + (values[0] * weight[k, j] + values[1] * weight[k + 1, j])
        + (values[2] * weight[k + 2, j] + values[3] * weight[k + 3, j])
        + (values[4] * weight[k + 4, j] + values[5] * weight[k + 5, j])
        + (values[6] * weight[k + 6, j] + values[7] * weight[k + 7, j])
        + (values[8] * weight[k + 8, j] + values[9] * weight[k + 9, j])
        + values[10] * weight[k + 10, j]
    )


@_compiled
def expand(distance, width, n_centers, smallest, first, gaussians):
    """Values of the Gaussians of all edges, and the index of the first of each."""
    radius = width * np.sqrt(-smallest)
    last = max(n_centers - N_GAUSSIANS, 0)
    for e in range(len(distance)):
        k = min(max(np.int64(np.ceil((distance[e] - radius) / width)), 0), last)
        first[e] = k
        for i in range(N_GAUSSIANS):
            difference = (distance[e] - np.float32((k + i) * width)) / np.float32(width)
            gaussians[e, i] = -difference * difference
    values = gaussians.reshape(-1)
    for place in range(len(values)):
        exponent = values[place]
        values[place] = _ZERO if exponent < smallest else _exp(exponent)  # NaN stays NaN
    # Beyond the last centre the Gaussians of all distances are zero.
    gaussians[:, n_centers:] = _ZERO


@_compiled
def linear_map(block, bounds, terms, source, target, first, gaussians, weight, z, moments):
    """Compute z, and its mean and sum of squared deviations: `moments` of shape (B, 2, 2 F)."""
    width = z.shape[1]
    shifted, squares = np.zeros(width, np.float32), np.zeros(width, np.float32)
    total, total_squares = np.zeros(width), np.zeros(width)
    start, stop = bounds[block], bounds[block + 1]
    origin = np.zeros(width, np.float32)
    if stop > start:
        # Sums of deviations from one row are more accurate than sums of the values.
        a, b = terms[source[start], width:], terms[target[start], :width]
        for j in range(width):
            origin[j] = _linear(j, a, b, first[start], _eleven(gaussians[start]), weight)
    for e in range(start, stop):
        a, b, row = terms[source[e], width:], terms[target[e], :width], z[e]
        k, values = first[e], _eleven(gaussians[e])
        for j in range(width):
            row[j] = _linear(j, a, b, k, values, weight)
        for j in range(width):
            deviation = row[j] - origin[j]
            shifted[j] += deviation
            squares[j] += deviation * deviation
        if (e - start) % _N_ROWS == _N_ROWS - 1 or e == stop - 1:
            for j in range(width):
                total[j] += shifted[j]
                total_squares[j] += squares[j]
                shifted[j] = squares[j] = _ZERO
    n_rows = max(stop - start, 1)
    for j in range(width):
        moments[block, 0, j] = origin[j] + total[j] / n_rows
        moments[block, 1, j] = total_squares[j] - total[j] * total[j] / n_rows


@_compiled
def add_messages(block, bounds, z, scale, shift, target, total, slopes):
    """Add sigmoid(gate) * softplus(core) of the normalised z to `total` of shape (N, F).

    `slopes` of shape (E, 2 F) are the derivatives with respect to gate and core.
    """
    width = z.shape[1] // 2
    for e in range(bounds[block], bounds[block + 1]):
        gates, cores, sums = z[e, :width], z[e, width:], total[target[e]]
        by_gate, by_core = slopes[e, :width], slopes[e, width:]
        for j in range(width):
            gate = gates[j] * scale[j] + shift[j]
            core = cores[j] * scale[width + j] + shift[width + j]
            exp_gate, exp_core = _exp(-gate), _exp(-abs(core))
            # Three inverses by one division.
            a, b, c = _ONE + exp_gate, _ONE + exp_core, _TWO + exp_core
            inverse = _ONE / (a * b * c)
            inverse_ab = inverse * c
            sigmoid, inverse_core = inverse_ab * b, inverse_ab * a
            message = sigmoid * (max(core, _ZERO) + _log1p(exp_core * (inverse * (a * b))))
            sums[j] += message
            by_gate[j] = message * (exp_gate * sigmoid)
            by_core[j] = sigmoid * (inverse_core if core >= _ZERO else exp_core * inverse_core)


@_compiled
def add_messages_at_once(
    block, bounds, terms, source, target, first, gaussians, weight, scale, shift, total
):
    """`linear_map` and `add_messages` for a known normalisation, without an array for z."""
    columns = len(scale)
    width = columns // 2
    row = np.empty(columns, np.float32)
    for e in range(bounds[block], bounds[block + 1]):
        a, b = terms[source[e], columns:], terms[target[e], :columns]
        k, values, sums = first[e], _eleven(gaussians[e]), total[target[e]]
        for j in range(columns):
            row[j] = _linear(j, a, b, k, values, weight) * scale[j] + shift[j]
        for j in range(width):
            gate, core = row[j], row[width + j]
            exp_gate, exp_core = _exp(-gate), _exp(-abs(core))
            a, c = _ONE + exp_gate, _TWO + exp_core
            inverse = _ONE / (a * c)
            sums[j] += inverse * c * (max(core, _ZERO) + _log1p(exp_core * (inverse * a)))


@_compiled
def sum_gradients(block, bounds, z, slopes, mean, target, gradient, sums):
    """Sums over edges of the gradient with respect to the normalised z, from that of `total`.

    `sums` of shape (B, 2, 2 F): sum of the gradient, and of its product with z - mean.
    """
    width = z.shape[1] // 2
    rows, products = np.zeros((2, width), np.float32), np.zeros((2, width), np.float32)
    start, stop = bounds[block], bounds[block + 1]
    for e in range(start, stop):
        outer = gradient[target[e]]
        for half in range(2):
            own = slice(half * width, half * width + width)
            values, own_slopes, own_mean = z[e, own], slopes[e, own], mean[own]
            row, product = rows[half], products[half]
            for j in range(width):
                by_normalized = outer[j] * own_slopes[j]
                row[j] += by_normalized
                product[j] += by_normalized * (values[j] - own_mean[j])
        if (e - start) % _N_ROWS == _N_ROWS - 1 or e == stop - 1:
            sums[block, 0] += rows.reshape(-1)
            sums[block, 1] += products.reshape(-1)
            rows[:], products[:] = _ZERO, _ZERO


@_compiled
def _add_products(rows, values, total):
    """Add the matrix product of values (K, 4) and rows (4, 2 F) to `total` of shape (K, 2 F)."""
    for i in range(N_GAUSSIANS):
        a, b, c, d = values[i, 0], values[i, 1], values[i, 2], values[i, 3]
        for j in range(rows.shape[1]):
            total[i, j] += (a * rows[0, j] + b * rows[1, j]) + (c * rows[2, j] + d * rows[3, j])


@_compiled
def gradient_of_linear_map(
    block,
    bounds,
    z,
    slopes,
    scale,
    coefficient,
    constant,
    source,
    target,
    gradient,
    first,
    gaussians,
    weight,
    by_terms,
    by_gaussians,
    by_weight,
):
    """Gradients with respect to the terms of the atoms, the Gaussians and the weight.

    That with respect to z is ``scale * slopes * gradient + coefficient * z + constant``.
    `by_weight` has the shape (B, G, 2 F). It and `by_gaussians` are empty if they are not needed.
    """
    width, n_first = z.shape[1], weight.shape[0] - N_GAUSSIANS + 1
    # Edges with the same first Gaussian wait until there are `_N_WAITING` of them, because adding
    # to the rows of `by_weight` would otherwise take most of the time.
    waiting = np.zeros((n_first, _N_WAITING, width), np.float32)
    values = np.zeros((n_first, N_GAUSSIANS, _N_WAITING), np.float32)
    counts = np.zeros(n_first, np.int64)
    for e in range(bounds[block], bounds[block + 1]):
        k, outer = first[e], gradient[target[e]]
        place = counts[k]
        counts[k] = (place + 1) % _N_WAITING
        row = waiting[k, place]
        at_source, at_target = by_terms[source[e], width:], by_terms[target[e], :width]
        for half in range(2):
            own = slice(half * len(outer), half * len(outer) + len(outer))
            own_z, own_slopes, own_row = z[e, own], slopes[e, own], row[own]
            factor, slope, offset = scale[own], coefficient[own], constant[own]
            for j in range(len(outer)):
                by_normalized = outer[j] * own_slopes[j]
                own_row[j] = by_normalized * factor[j] + own_z[j] * slope[j] + offset[j]
        for j in range(width):
            at_target[j] += row[j]
        for j in range(width):
            at_source[j] += row[j]
        for i in range(N_GAUSSIANS):
            values[k, i, place] = gaussians[e, i]
        if len(by_gaussians):
            for i in range(N_GAUSSIANS):
                weights, product = weight[k + i], _ZERO
                for j in range(width):
                    product += row[j] * weights[j]
                by_gaussians[e, i] = product
        if len(by_weight) and counts[k] == 0:
            _add_products(waiting[k], values[k], by_weight[block, k : k + N_GAUSSIANS])
    for k in range(n_first):
        if len(by_weight) and counts[k] > 0:
            values[k, :, counts[k] :] = _ZERO
            _add_products(waiting[k], values[k], by_weight[block, k : k + N_GAUSSIANS])
