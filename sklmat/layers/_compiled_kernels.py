"""Loops over edges and atoms of graph convolutions, compiled by numba for the processor at hand.

Most functions do one step for the edges of one block. Blocks share no atoms, so that several
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
#: most 9 are above 1e-8.
N_GAUSSIANS = 9
# Edges whose products are added to the gradient of the weight at once.
_N_WAITING = 4
# Rows whose sum is taken in single precision, before it is added in double precision.
_N_ROWS = 128
_ZERO, _ONE = np.float32(0), np.float32(1)

# Coefficients of two polynomials that approximate 2^x from -1/2 to 1/2, and log(1 + x) / x from 0
# to 1; the relative errors are below 8e-8, less than the spacing of numbers in single precision.
_POWER_OF_TWO = (1.0000001, 0.69314694, 0.2402212, 0.055507131, 0.009675541, 0.0013276471)
_LOGARITHM = (
    *(0.99999994, -0.49999493, 0.33319098, -0.24842981, 0.19106007),
    *(-0.13663244, 0.078225933, -0.029505227, 0.0052326913),
)
#: Numbers that the loops need. As arguments they stay in registers of the processor; constants
#: would be read again for each few edges. The third is added to round: its last digit is one.
CONSTANTS = tuple(
    np.float32(number) for number in (np.log2(np.e), 57.7, 1.5 * 2**23, *_POWER_OF_TWO, *_LOGARITHM)
)


def _compiled(function: Any, *fastmath: str) -> Any:
    """Compile without the global lock of Python; keep the result on disk where that is possible."""
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", *fastmath}}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder of the package or of the user can be written
        return numba.njit(**options)(function)


def _inlined(function: Any) -> Any:
    return numba.njit(inline="always", error_model="numpy", fastmath={"contract"})(function)


@_inlined
def _exponential(x, constants):
    """exp(x), limited to the range from exp(-40) to exp(40), so that no product is denormal."""
    limit, rounding = constants[1], constants[2]
    x = max(min(x * constants[0], limit), -limit)
    # After the addition, the last digits are those of the integer next to x.
    shifted = x + rounding
    x = x - (shifted - rounding)
    q = x * x
    low, high = constants[3] + constants[4] * x, constants[5] + constants[6] * x
    power = low + q * (high + q * (constants[7] + constants[8] * x))
    exponent = np.int32(np.float32(shifted).view(np.int32) << np.int32(23))
    return np.int32(np.float32(power).view(np.int32) + exponent).view(np.float32)


@_inlined
def _log1p(x, constants):
    """log(1 + x) for x from 0 to 1."""
    # Pairs of terms do not wait for each other.
    q = x * x
    a, b = constants[9] + constants[10] * x, constants[11] + constants[12] * x
    c, d = constants[13] + constants[14] * x, constants[15] + constants[16] * x
    fourth = q * q
    return x * ((a + q * b) + fourth * ((c + q * d) + fourth * constants[17]))


@_inlined
def _take_exponentials(gates, cores, exp_gates, exp_cores, constants):
    """exp(-gate) and exp(-|core|) of a row."""
    for j in range(len(gates)):
        exp_gates[j] = _exponential(-gates[j], constants)
    for j in range(len(cores)):
        exp_cores[j] = _exponential(-abs(cores[j]), constants)


@_inlined
def _nine(row):
    """Values of the Gaussians of an edge as a tuple, which stays in registers."""
    return row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8]


@_inlined
def _linear(j, a, b, values, weights):
    """Component j of z: terms of both atoms, and Gaussians times their weights."""
    return (
        ((a[j] + b[j]) + (values[0] * weights[0, j] + values[1] * weights[1, j]))
        + (values[2] * weights[2, j] + values[3] * weights[3, j] + values[4] * weights[4, j])
        + (values[5] * weights[5, j] + values[6] * weights[6, j])
        + (values[7] * weights[7, j] + values[8] * weights[8, j])
    )


@_compiled
def expand(distance, width, n_centers, smallest, constants, first, gaussians):
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
        # NaN stays NaN.
        values[place] = _ZERO if exponent < smallest else _exponential(exponent, constants)
    # Beyond the last centre the Gaussians of all distances are zero.
    gaussians[:, n_centers:] = _ZERO


@_compiled
def linear_map(block, bounds, terms, source, target, first, gaussians, weight, z, moments):
    """Compute z, and its mean and sum of squared deviations: `moments` of shape (B, 2, 2 F)."""
    width = z.shape[1]
    origin = np.zeros(width, np.float32)
    shifted, squares = np.zeros(width, np.float32), np.zeros(width, np.float32)
    total, total_squares = np.zeros(width), np.zeros(width)
    start, stop = bounds[block], bounds[block + 1]
    for e in range(start, stop):
        a, b, row = terms[target[e], :width], terms[source[e], width:], z[e]
        weights, values = weight[first[e] : first[e] + N_GAUSSIANS], _nine(gaussians[e])
        if e == start:
            # Sums of deviations from one row are more accurate than sums of the values.
            for j in range(width):
                origin[j] = _linear(j, a, b, values, weights)
        for j in range(width):
            number = _linear(j, a, b, values, weights)
            deviation = number - origin[j]
            row[j] = number
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
def add_messages(
    block, bounds, z, scale, shift, mean, target, constants, total, slopes, slope_sums
):
    """Add sigmoid(gate) * softplus(core) of the normalised z to `total` of shape (N, F).

    `slopes` of shape (E, 2 F) are the derivatives with respect to gate and core; `slope_sums` of
    shape (N, 2, 2 F) are their sums over the edges of each atom, and those of their products with
    z - mean.
    """
    columns = z.shape[1]
    width = columns // 2
    row, exponentials = np.empty(columns, np.float32), np.empty((2, width), np.float32)
    gates, cores, exp_gates, exp_cores = row[:width], row[width:], exponentials[0], exponentials[1]
    for e in range(bounds[block], bounds[block + 1]):
        values, own_slopes = z[e], slopes[e]
        by_gate, by_core = own_slopes[:width], own_slopes[width:]
        for j in range(columns):
            row[j] = values[j] * scale[j] + shift[j]
        _take_exponentials(gates, cores, exp_gates, exp_cores, constants)
        sums = total[target[e]]
        for j in range(width):
            core, exp_gate, exp_core = cores[j], exp_gates[j], exp_cores[j]
            # Two inverses by one division.
            a, b = _ONE + exp_gate, _ONE + exp_core
            inverse = _ONE / (a * b)
            sigmoid, inverse_core = inverse * b, inverse * a
            message = sigmoid * (max(core, _ZERO) + _log1p(exp_core, constants))
            sums[j] += message
            by_gate[j] = message * (exp_gate * sigmoid)
            by_core[j] = sigmoid * (inverse_core if core >= _ZERO else exp_core * inverse_core)
        of_slopes, of_products = slope_sums[target[e], 0], slope_sums[target[e], 1]
        for j in range(columns):
            of_slopes[j] += own_slopes[j]
            of_products[j] += own_slopes[j] * (values[j] - mean[j])


@_compiled
def add_messages_at_once(
    block, bounds, terms, source, target, first, gaussians, weight, scale, shift, constants, total
):
    """`linear_map` and `add_messages` for a known normalisation, without an array for z."""
    columns = len(scale)
    width = columns // 2
    row, exponentials = np.empty(columns, np.float32), np.empty((2, width), np.float32)
    gates, cores, exp_gates, exp_cores = row[:width], row[width:], exponentials[0], exponentials[1]
    for e in range(bounds[block], bounds[block + 1]):
        a, b = terms[target[e], :columns], terms[source[e], columns:]
        weights, values = weight[first[e] : first[e] + N_GAUSSIANS], _nine(gaussians[e])
        for j in range(columns):
            row[j] = _linear(j, a, b, values, weights) * scale[j] + shift[j]
        _take_exponentials(gates, cores, exp_gates, exp_cores, constants)
        sums = total[target[e]]
        for j in range(width):
            softplus = max(cores[j], _ZERO) + _log1p(exp_cores[j], constants)
            sums[j] += softplus / (_ONE + exp_gates[j])


@_inlined
def _add_three_products(rows, values, total, i):
    """Add the rows times the values of three Gaussians to three rows of `total`."""
    a0, a1, a2, a3 = values[0, i], values[1, i], values[2, i], values[3, i]
    b0, b1, b2, b3 = values[0, i + 1], values[1, i + 1], values[2, i + 1], values[3, i + 1]
    c0, c1, c2, c3 = values[0, i + 2], values[1, i + 2], values[2, i + 2], values[3, i + 2]
    row0, row1, row2, row3 = rows[0], rows[1], rows[2], rows[3]
    a, b, c = total[i], total[i + 1], total[i + 2]
    for j in range(rows.shape[1]):
        r0, r1, r2, r3 = row0[j], row1[j], row2[j], row3[j]
        a[j] = a[j] + a0 * r0 + a1 * r1 + a2 * r2 + a3 * r3
        b[j] = b[j] + b0 * r0 + b1 * r1 + b2 * r2 + b3 * r3
        c[j] = c[j] + c0 * r0 + c1 * r1 + c2 * r2 + c3 * r3


@_compiled
def _add_products(rows, values, total):
    """Add the matrix product of values.T (9, 4) and rows (4, 2 F) to `total` of shape (9, 2 F)."""
    _add_three_products(rows, values, total, 0)
    _add_three_products(rows, values, total, 3)
    _add_three_products(rows, values, total, 6)


def _dot_products(weights, row, products):
    """Products of a row with the weights of each of its Gaussians."""
    for i in range(N_GAUSSIANS):
        own, product = weights[i], _ZERO
        for j in range(len(row)):
            product += row[j] * own[j]
        products[i] = product


# The sums are taken in the order of the processor's vectors, which is always the same.
_dot_products = _compiled(_dot_products, "reassoc")


@_compiled
def gradient_of_linear_map(
    block,
    bounds,
    z,
    slopes,
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

    That with respect to z is ``slopes * gradient + coefficient * z + constant``, with `gradient` of
    shape (N, 2 F). `by_weight` has the shape (B, G, 2 F). It and `by_gaussians` are empty if they
    are not needed.
    """
    width, n_first = z.shape[1], weight.shape[0] - N_GAUSSIANS + 1
    # Edges with the same first Gaussian wait until there are `_N_WAITING` of them, because adding
    # to the rows of `by_weight` would otherwise take most of the time.
    waiting = np.zeros((n_first, _N_WAITING, width), np.float32)
    values = np.zeros((n_first, _N_WAITING, N_GAUSSIANS), np.float32)
    counts = np.zeros(n_first, np.int64)
    for e in range(bounds[block], bounds[block + 1]):
        k = first[e]
        place = counts[k]
        counts[k] = (place + 1) % _N_WAITING
        row, own_z, own_slopes, outer = waiting[k, place], z[e], slopes[e], gradient[target[e]]
        at_target, at_source = by_terms[target[e], :width], by_terms[source[e], width:]
        for j in range(width):
            by_z = outer[j] * own_slopes[j] + (own_z[j] * coefficient[j] + constant[j])
            row[j] = by_z
            at_target[j] += by_z
            at_source[j] += by_z
        waiting_values = values[k, place]
        for i in range(N_GAUSSIANS):
            waiting_values[i] = gaussians[e, i]
        if len(by_gaussians):
            _dot_products(weight[k : k + N_GAUSSIANS], row, by_gaussians[e])
        if len(by_weight) and counts[k] == 0:
            _add_products(waiting[k], values[k], by_weight[block, k : k + N_GAUSSIANS])
    for k in range(n_first):
        if len(by_weight) and counts[k] > 0:
            values[k, counts[k] :] = _ZERO
            _add_products(waiting[k], values[k], by_weight[block, k : k + N_GAUSSIANS])


@_compiled
def add_up_gradients(gradient, slope_sums, scale, sums, scaled):
    """Sums over atoms of the gradient (N, F), for gate and core, times both of `slope_sums`.

    `sums` has the shape (2, 2 F); `scaled` of shape (N, 2 F) is the gradient times `scale`.
    """
    width = gradient.shape[1]
    parts = np.zeros((2, 2 * width), np.float32)
    for i in range(len(gradient)):
        for half in range(2):
            own = slice(half * width, half * width + width)
            outer, of_slopes, of_products = (
                gradient[i],
                slope_sums[i, 0, own],
                slope_sums[i, 1, own],
            )
            factor, row, first, second = scale[own], scaled[i, own], parts[0, own], parts[1, own]
            for j in range(width):
                row[j] = outer[j] * factor[j]
                first[j] += outer[j] * of_slopes[j]
                second[j] += outer[j] * of_products[j]
        if i % _N_ROWS == _N_ROWS - 1 or i == len(gradient) - 1:
            sums += parts
            parts[:] = _ZERO


@_compiled
def take_moments(rows, moments):
    """Mean and variance of the columns of (N, F): `moments` of shape (2, F), double precision."""
    n_rows, width = rows.shape
    shifted, squares, origin = np.zeros(width), np.zeros(width), rows[0]
    parts = np.zeros((2, width), np.float32)
    for i in range(n_rows):
        row = rows[i]
        for j in range(width):
            deviation = row[j] - origin[j]
            parts[0, j] += deviation
            parts[1, j] += deviation * deviation
        if i % _N_ROWS == _N_ROWS - 1 or i == n_rows - 1:
            for j in range(width):
                shifted[j] += parts[0, j]
                squares[j] += parts[1, j]
                parts[0, j] = parts[1, j] = _ZERO
    # Operations on whole rows would take three times as long to compile.
    for j in range(width):
        deviation = shifted[j] / n_rows
        variance = squares[j] / n_rows - deviation * deviation
        moments[0, j] = origin[j] + deviation
        # Rounding must not make it negative; NaN stays NaN.
        moments[1, j] = 0.0 if variance < 0 else variance


@_compiled
def update_atoms(h, total, scale, shift, constants, updated, slopes):
    """softplus(h + normalised total) of each atom, and its derivative; all of shape (N, F)."""
    width = h.shape[1]
    row, exponentials = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(len(h)):
        before, message, after, slope = h[i], total[i], updated[i], slopes[i]
        for j in range(width):
            row[j] = before[j] + (message[j] * scale[j] + shift[j])
        for j in range(width):
            exponentials[j] = _exponential(-abs(row[j]), constants)
        for j in range(width):
            number, exponential = row[j], exponentials[j]
            inverse = _ONE / (_ONE + exponential)
            after[j] = max(number, _ZERO) + _log1p(exponential, constants)
            slope[j] = inverse if number >= _ZERO else exponential * inverse


@_compiled
def gradient_of_update(gradient, slopes, total, mean, by_h, sums):
    """Gradient with respect to h of shape (N, F), and its sums with and without total - mean."""
    width = gradient.shape[1]
    parts = np.zeros((2, width), np.float32)
    for i in range(len(gradient)):
        outer, slope, message, row = gradient[i], slopes[i], total[i], by_h[i]
        for j in range(width):
            row[j] = outer[j] * slope[j]
            parts[0, j] += row[j]
            parts[1, j] += row[j] * (message[j] - mean[j])
        if i % _N_ROWS == _N_ROWS - 1 or i == len(gradient) - 1:
            sums += parts
            parts[:] = _ZERO


@_compiled
def combine(first, second, a, b, constant, combined):
    """``a * first + b * second + constant`` of each row (N, F)."""
    for i in range(len(first)):
        left, right, row = first[i], second[i], combined[i]
        for j in range(len(a)):
            row[j] = left[j] * a[j] + (right[j] * b[j] + constant[j])
