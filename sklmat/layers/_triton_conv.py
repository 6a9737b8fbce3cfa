"""`triton_conv`: the gated graph convolution on a GPU, as a few kernels written in Triton.

The steps are those of `CompiledMessages`, followed by the batch normalisation of the sums and the
softplus. All sums run in a fixed order, so that two runs give the same bits; torch's ``index_add_``
adds in any order.

Under ``torch.autocast``, the product of edge vectors and weights, and its gradient, are stored in
bfloat16; they are the largest arrays. The kernels compute with all numbers in single precision.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl

# Rows per program of the sums over the partial results of blocks, and their columns.
_BLOCK_PARTIAL = 256
_BLOCK_COLUMNS = 8


def _block_rows(n_rows):
    """Rows per program of the kernels over edges or atoms: about a thousand programs, or more."""
    return 32 if n_rows < 2**15 else 128


@triton.jit
def _softplus(x):
    small = tl.exp(-tl.abs(x))
    # The logarithm of 1 + small, with the first two terms of its series where 1 + small is rounded.
    logarithm = tl.where(small < 1e-3, small - 0.5 * small * small, tl.log(1.0 + small))
    return tl.maximum(x, 0.0) + logarithm


@triton.jit
def _add_terms_kernel(
    z, terms, source, target, n_valid, means, squares, n_rows,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, TERMS: tl.constexpr,
):  # fmt: skip
    """Add the terms of both atoms to each row of z; mean and squared deviations of the block."""
    block = tl.program_id(0)
    rows = block * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)
    inside = (rows < n_rows)[:, None] & (columns < WIDTH)[None, :]
    at = rows[:, None].to(tl.int64) * WIDTH + columns[None, :]
    value = tl.load(z + at, mask=inside, other=0.0).to(tl.float32)
    if TERMS:
        i = tl.load(source + rows, mask=rows < n_rows, other=0)
        j = tl.load(target + rows, mask=rows < n_rows, other=0)
        # A row of terms holds those of the atom as a target and then those as a source.
        as_target = j[:, None] * (2 * WIDTH) + columns[None, :]
        as_source = i[:, None] * (2 * WIDTH) + WIDTH + columns[None, :]
        value += tl.load(terms + as_target, mask=inside, other=0.0)
        value += tl.load(terms + as_source, mask=inside, other=0.0)
        tl.store(z + at, value, mask=inside)
    last = tl.load(n_valid)
    valid = (rows < last)[:, None]
    count = tl.maximum(tl.minimum(last - block * ROWS, ROWS), 1).to(tl.float32)
    mean = tl.sum(tl.where(valid, value, 0.0), axis=0) / count
    deviation = tl.where(valid, value - mean[None, :], 0.0)
    out = block * WIDTH + columns
    tl.store(means + out, mean, mask=columns < WIDTH)
    tl.store(squares + out, tl.sum(deviation * deviation, axis=0), mask=columns < WIDTH)


@triton.jit
def _combine_moments_kernel(
    means, squares, n_valid, n_blocks, gamma, beta, running_mean, running_var, mean_out,
    inverse_out, scale_out, shift_out, eps, momentum,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, PARTIAL: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Mean and variance of all valid rows from those of the blocks (Chan's formula)."""
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < WIDTH
    last = tl.load(n_valid)
    total = tl.zeros([PARTIAL, COLUMNS], dtype=tl.float32)
    for start in range(0, n_blocks, PARTIAL):
        blocks = start + tl.arange(0, PARTIAL)
        count = tl.minimum(tl.maximum(last - blocks * ROWS, 0), ROWS).to(tl.float32)
        mask = (blocks < n_blocks)[:, None] & inside[None, :]
        mean = tl.load(means + blocks[:, None] * WIDTH + columns[None, :], mask=mask, other=0.0)
        total += mean * count[:, None]
    n = tl.maximum(last, 1).to(tl.float32)
    mean = tl.sum(total, axis=0) / n
    total = tl.zeros([PARTIAL, COLUMNS], dtype=tl.float32)
    for start in range(0, n_blocks, PARTIAL):
        blocks = start + tl.arange(0, PARTIAL)
        count = tl.minimum(tl.maximum(last - blocks * ROWS, 0), ROWS).to(tl.float32)
        mask = (blocks < n_blocks)[:, None] & inside[None, :]
        at = blocks[:, None] * WIDTH + columns[None, :]
        difference = tl.load(means + at, mask=mask, other=0.0) - mean[None, :]
        part = (
            tl.load(squares + at, mask=mask, other=0.0) + count[:, None] * difference * difference
        )
        total += tl.where(mask & (count > 0)[:, None], part, 0.0)
    variance = tl.sum(total, axis=0) / n
    inverse = tl.rsqrt(variance + eps)
    scale = tl.load(gamma + columns, mask=inside, other=0.0) * inverse
    shift = tl.load(beta + columns, mask=inside, other=0.0) - mean * scale
    tl.store(mean_out + columns, mean, mask=inside)
    tl.store(inverse_out + columns, inverse, mask=inside)
    tl.store(scale_out + columns, scale, mask=inside)
    tl.store(shift_out + columns, shift, mask=inside)
    old = tl.load(running_mean + columns, mask=inside, other=0.0)
    tl.store(running_mean + columns, old + momentum * (mean - old), mask=inside)
    old = tl.load(running_var + columns, mask=inside, other=0.0)
    unbiased = variance * (n / tl.maximum(n - 1.0, 1.0))
    tl.store(running_var + columns, old + momentum * (unbiased - old), mask=inside)


@triton.jit
def _sum_messages_kernel(
    z, scale, shift, order, pointer, total,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Sum over the edges of an atom of sigmoid(gate) * softplus(core)."""
    atom = tl.program_id(0)
    columns = tl.arange(0, COLUMNS)
    inside = columns < WIDTH
    gate_scale = tl.load(scale + columns, mask=inside, other=0.0)[None, :]
    gate_shift = tl.load(shift + columns, mask=inside, other=0.0)[None, :]
    core_scale = tl.load(scale + WIDTH + columns, mask=inside, other=0.0)[None, :]
    core_shift = tl.load(shift + WIDTH + columns, mask=inside, other=0.0)[None, :]
    first, last = tl.load(pointer + atom), tl.load(pointer + atom + 1)
    result = tl.zeros([COLUMNS], dtype=tl.float32)
    for start in range(first, last, ROWS):
        rows = start + tl.arange(0, ROWS)
        edges = tl.load(order + rows, mask=rows < last, other=0)
        mask = (rows < last)[:, None] & inside[None, :]
        at = edges[:, None] * (2 * WIDTH) + columns[None, :]
        gate = tl.load(z + at, mask=mask, other=0.0).to(tl.float32) * gate_scale + gate_shift
        core = tl.load(z + at + WIDTH, mask=mask, other=0.0).to(tl.float32)
        core = core * core_scale + core_shift
        message = tl.sigmoid(gate) * _softplus(core)
        result += tl.sum(tl.where(mask, message, 0.0), axis=0)
    tl.store(total + atom * WIDTH + columns, result, mask=inside)


@triton.jit
def _update_atoms_kernel(
    h, total, scale, shift, out, n_rows,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """softplus(h + BN(total))."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)
    mask = (rows < n_rows)[:, None] & (columns < WIDTH)[None, :]
    at = rows[:, None] * WIDTH + columns[None, :]
    a = tl.load(scale + columns, mask=columns < WIDTH, other=0.0)[None, :]
    b = tl.load(shift + columns, mask=columns < WIDTH, other=0.0)[None, :]
    x = tl.load(h + at, mask=mask, other=0.0) + tl.load(total + at, mask=mask, other=0.0) * a + b
    tl.store(out + at, _softplus(x), mask=mask)


@triton.jit
def _update_gradient_kernel(
    gradient, out, total, by_h, sums, sums_times, n_valid, n_rows,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Gradient with respect to h + BN(total), and the sums over the atoms of a block."""
    block = tl.program_id(0)
    rows = block * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)
    mask = (rows < n_rows)[:, None] & (columns < WIDTH)[None, :]
    at = rows[:, None] * WIDTH + columns[None, :]
    # The derivative of softplus is 1 - exp(-softplus).
    value = tl.load(gradient + at, mask=mask, other=0.0)
    value *= 1.0 - tl.exp(-tl.load(out + at, mask=mask, other=0.0))
    value = tl.where((rows < tl.load(n_valid))[:, None], value, 0.0)
    tl.store(by_h + at, value, mask=mask)
    place = block * WIDTH + columns
    tl.store(sums + place, tl.sum(value, axis=0), mask=columns < WIDTH)
    value *= tl.load(total + at, mask=mask, other=0.0)
    tl.store(sums_times + place, tl.sum(value, axis=0), mask=columns < WIDTH)


@triton.jit
def _combine_gradients_kernel(
    sums, sums_times, n_valid, n_blocks, mean, inverse, scale, by_gamma, by_beta, coefficient,
    constant,
    TRAINING: tl.constexpr, WIDTH: tl.constexpr, PARTIAL: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Gradients of scale and shift, and the terms that mean and variance of the batch add."""
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < WIDTH
    total = tl.zeros([PARTIAL, COLUMNS], dtype=tl.float32)
    total_times = tl.zeros([PARTIAL, COLUMNS], dtype=tl.float32)
    for start in range(0, n_blocks, PARTIAL):
        blocks = start + tl.arange(0, PARTIAL)
        mask = (blocks < n_blocks)[:, None] & inside[None, :]
        at = blocks[:, None] * WIDTH + columns[None, :]
        total += tl.load(sums + at, mask=mask, other=0.0)
        total_times += tl.load(sums_times + at, mask=mask, other=0.0)
    beta_gradient = tl.sum(total, axis=0)
    mean_value = tl.load(mean + columns, mask=inside, other=0.0)
    inverse_value = tl.load(inverse + columns, mask=inside, other=0.0)
    gamma_gradient = inverse_value * (tl.sum(total_times, axis=0) - mean_value * beta_gradient)
    tl.store(by_gamma + columns, gamma_gradient, mask=inside)
    tl.store(by_beta + columns, beta_gradient, mask=inside)
    if TRAINING:
        n = tl.maximum(tl.load(n_valid), 1).to(tl.float32)
        scale_value = tl.load(scale + columns, mask=inside, other=0.0)
        factor = -scale_value * inverse_value * gamma_gradient / n
        tl.store(coefficient + columns, factor, mask=inside)
        rest = -scale_value * beta_gradient / n - mean_value * factor
        tl.store(constant + columns, rest, mask=inside)
    else:
        tl.store(coefficient + columns, tl.zeros([COLUMNS], dtype=tl.float32), mask=inside)
        tl.store(constant + columns, tl.zeros([COLUMNS], dtype=tl.float32), mask=inside)


@triton.jit
def _norm_gradient_kernel(
    by_normalized, x, scale, coefficient, constant, out, n_valid, n_rows,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Gradient with respect to the input of a batch normalisation; zero for padding rows."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)
    mask = (rows < n_rows)[:, None] & (columns < WIDTH)[None, :]
    at = rows[:, None] * WIDTH + columns[None, :]
    a = tl.load(scale + columns, mask=columns < WIDTH, other=0.0)[None, :]
    b = tl.load(coefficient + columns, mask=columns < WIDTH, other=0.0)[None, :]
    c = tl.load(constant + columns, mask=columns < WIDTH, other=0.0)[None, :]
    value = tl.load(by_normalized + at, mask=mask, other=0.0) * a
    value += tl.load(x + at, mask=mask, other=0.0) * b + c
    value = tl.where((rows < tl.load(n_valid))[:, None], value, 0.0)
    tl.store(out + at, value, mask=mask)


@triton.jit
def _messages_gradient_kernel(
    z, scale, shift, gradient, order, pointer, by_normalized, sums, sums_times, n_atoms,
    ATOMS: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Gradient with respect to the normalised z of the edges of some atoms, and its sums."""
    block = tl.program_id(0)
    columns = tl.arange(0, COLUMNS)
    inside = columns < WIDTH
    gate_scale = tl.load(scale + columns, mask=inside, other=0.0)[None, :]
    gate_shift = tl.load(shift + columns, mask=inside, other=0.0)[None, :]
    core_scale = tl.load(scale + WIDTH + columns, mask=inside, other=0.0)[None, :]
    core_shift = tl.load(shift + WIDTH + columns, mask=inside, other=0.0)[None, :]
    gate_sum = tl.zeros([COLUMNS], dtype=tl.float32)
    core_sum = tl.zeros([COLUMNS], dtype=tl.float32)
    gate_times = tl.zeros([COLUMNS], dtype=tl.float32)
    core_times = tl.zeros([COLUMNS], dtype=tl.float32)
    for atom in range(block * ATOMS, tl.minimum(block * ATOMS + ATOMS, n_atoms)):
        upstream = tl.load(gradient + atom * WIDTH + columns, mask=inside, other=0.0)[None, :]
        first, last = tl.load(pointer + atom), tl.load(pointer + atom + 1)
        for start in range(first, last, ROWS):
            rows = start + tl.arange(0, ROWS)
            edges = tl.load(order + rows, mask=rows < last, other=0)
            mask = (rows < last)[:, None] & inside[None, :]
            at = edges[:, None] * (2 * WIDTH) + columns[None, :]
            z_gate = tl.load(z + at, mask=mask, other=0.0).to(tl.float32)
            z_core = tl.load(z + at + WIDTH, mask=mask, other=0.0).to(tl.float32)
            gate = tl.sigmoid(z_gate * gate_scale + gate_shift)
            core_input = z_core * core_scale + core_shift
            by_core = tl.where(mask, upstream * gate * tl.sigmoid(core_input), 0.0)
            by_gate = tl.where(mask, upstream * gate * (1.0 - gate) * _softplus(core_input), 0.0)
            tl.store(by_normalized + at, by_gate, mask=mask)
            tl.store(by_normalized + at + WIDTH, by_core, mask=mask)
            gate_sum += tl.sum(by_gate, axis=0)
            core_sum += tl.sum(by_core, axis=0)
            gate_times += tl.sum(by_gate * z_gate, axis=0)
            core_times += tl.sum(by_core * z_core, axis=0)
    place = block * (2 * WIDTH) + columns
    tl.store(sums + place, gate_sum, mask=inside)
    tl.store(sums + place + WIDTH, core_sum, mask=inside)
    tl.store(sums_times + place, gate_times, mask=inside)
    tl.store(sums_times + place + WIDTH, core_times, mask=inside)


@triton.jit
def _by_target_kernel(
    by_normalized, z, scale, coefficient, constant, order, pointer, total,
    STRIDE: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Gradient with respect to z, in place, and its sum over the edges of an atom."""
    atom = tl.program_id(0)
    columns = tl.arange(0, COLUMNS)
    inside = columns < WIDTH
    a = tl.load(scale + columns, mask=inside, other=0.0)[None, :]
    b = tl.load(coefficient + columns, mask=inside, other=0.0)[None, :]
    c = tl.load(constant + columns, mask=inside, other=0.0)[None, :]
    first, last = tl.load(pointer + atom), tl.load(pointer + atom + 1)
    result = tl.zeros([COLUMNS], dtype=tl.float32)
    for start in range(first, last, ROWS):
        rows = start + tl.arange(0, ROWS)
        edges = tl.load(order + rows, mask=rows < last, other=0)
        mask = (rows < last)[:, None] & inside[None, :]
        at = edges[:, None] * WIDTH + columns[None, :]
        value = tl.load(by_normalized + at, mask=mask, other=0.0).to(tl.float32) * a
        value += tl.load(z + at, mask=mask, other=0.0).to(tl.float32) * b + c
        value = tl.where(mask, value, 0.0)
        tl.store(by_normalized + at, value, mask=mask)
        result += tl.sum(value, axis=0)
    tl.store(total + atom * STRIDE + columns, result, mask=inside)


@triton.jit
def _segment_sum_kernel(
    values, order, pointer, total,
    STRIDE: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Sum of the rows ``order[pointer[s]:pointer[s + 1]]`` of values for each segment s."""
    segment = tl.program_id(0)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < WIDTH
    first, last = tl.load(pointer + segment), tl.load(pointer + segment + 1)
    result = tl.zeros([COLUMNS], dtype=tl.float32)
    for start in range(first, last, ROWS):
        rows = start + tl.arange(0, ROWS)
        at = tl.load(order + rows, mask=rows < last, other=0)
        mask = (rows < last)[:, None] & inside[None, :]
        row_values = tl.load(values + at[:, None] * WIDTH + columns[None, :], mask=mask, other=0.0)
        result += tl.sum(row_values.to(tl.float32), axis=0)
    tl.store(total + segment * STRIDE + columns, result, mask=inside)


def segment_sum(
    values: torch.Tensor,
    order: torch.Tensor,
    pointer: torch.Tensor,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Sum the rows of each segment, in a fixed order.

    Parameters
    ----------
    values : Tensor of shape (E, F), on a GPU
    order : Tensor of shape (E,), int64
        Rows of `values`, segment after segment.
    pointer : Tensor of shape (S + 1,), int64
        Segment s has the rows ``order[pointer[s]:pointer[s + 1]]``.
    out : Tensor of shape (S, F), default=None
        Where the result is written; its rows may be further apart than F numbers.

    Returns
    -------
    Tensor of shape (S, F)
    """
    n_segments, width = len(pointer) - 1, values.shape[1]
    if out is None:
        out = values.new_empty(n_segments, width)
    columns = min(triton.next_power_of_2(width), 256)
    _segment_sum_kernel[(n_segments, triton.cdiv(width, columns))](
        values, order, pointer, out,
        STRIDE=out.stride(0), WIDTH=width, ROWS=16, COLUMNS=columns,
    )  # fmt: skip
    return out


class TritonConv(torch.autograd.Function):
    """``softplus(h + BN(sum over edges of sigmoid(BN(z)_gate) * softplus(BN(z)_core)))``.

    For edge e, ``z_e = a[target_e] + b[source_e] + W g_e``; the rows of the argument `terms`, of
    shape (N, 4 F), are a and b side by side, as one matrix product gives them. Rows beyond the
    valid ones, which fill a batch up to a fixed size, do not enter the batch normalisations.
    """

    @staticmethod
    def forward(
        ctx,
        h,
        terms,
        edge_features,
        weight,
        gamma,
        beta,
        node_gamma,
        node_beta,
        batch,
        norms,
        training,
    ):
        edge_norm, node_norm = norms
        n_atoms, width = h.shape
        segments = batch.segments()
        z = edge_features @ weight.T
        edge_stats = _moments(z, segments.n_edges, edge_norm, training, (terms, batch))
        total = torch.empty_like(h)
        columns = triton.next_power_of_2(width)
        _sum_messages_kernel[(n_atoms,)](
            z, edge_stats.scale, edge_stats.shift, *segments.by_target, total,
            WIDTH=width, ROWS=16, COLUMNS=columns,
        )  # fmt: skip
        node_stats = _moments(total, segments.n_atoms, node_norm, training)
        out = torch.empty_like(h)
        _update_atoms_kernel[(triton.cdiv(n_atoms, 32),)](
            h, total, node_stats.scale, node_stats.shift, out, n_atoms,
            WIDTH=width, ROWS=32, COLUMNS=columns,
        )  # fmt: skip
        ctx.save_for_backward(z, total, out, edge_features, weight, *edge_stats, *node_stats)
        ctx.batch, ctx.training = batch, training
        return out

    @staticmethod
    def backward(ctx, gradient):
        z, total, out, edge_features, weight, *stats = ctx.saved_tensors
        edge_stats, node_stats = _Statistics(*stats[:4]), _Statistics(*stats[4:])
        segments = ctx.batch.segments()
        n_atoms, width = total.shape
        columns, block_rows = triton.next_power_of_2(width), _block_rows(n_atoms)
        blocks = triton.cdiv(n_atoms, block_rows)
        by_h = torch.empty_like(total)
        sums = total.new_empty(2, blocks, width)
        _update_gradient_kernel[(blocks,)](
            gradient.contiguous(), out, total, by_h, sums[0], sums[1], segments.n_atoms, n_atoms,
            WIDTH=width, ROWS=block_rows, COLUMNS=columns,
        )  # fmt: skip
        by_node_gamma, by_node_beta, slope, constant = _norm_gradients(
            sums, segments.n_atoms, node_stats, ctx.training
        )
        by_total = torch.empty_like(total)
        _norm_gradient_kernel[(blocks,)](
            by_h, total, node_stats.scale, slope, constant, by_total, segments.n_atoms, n_atoms,
            WIDTH=width, ROWS=block_rows, COLUMNS=columns,
        )  # fmt: skip
        # Padding edges belong to no atom, so that no kernel writes their rows.
        by_z = torch.zeros_like(z)
        per_program = 1 if n_atoms < 2048 else 4
        programs = triton.cdiv(n_atoms, per_program)
        sums = total.new_empty(2, programs, 2 * width)
        _messages_gradient_kernel[(programs,)](
            z, edge_stats.scale, edge_stats.shift, by_total, *segments.by_target, by_z,
            sums[0], sums[1], n_atoms, ATOMS=per_program, WIDTH=width, ROWS=16, COLUMNS=columns,
        )  # fmt: skip
        by_gamma, by_beta, slope, constant = _norm_gradients(
            sums, segments.n_edges, edge_stats, ctx.training
        )
        by_terms = total.new_empty(n_atoms, 4 * width)
        _by_target_kernel[(n_atoms,)](
            by_z, z, edge_stats.scale, slope, constant, *segments.by_target, by_terms,
            STRIDE=4 * width, WIDTH=2 * width, ROWS=16, COLUMNS=triton.next_power_of_2(2 * width),
        )  # fmt: skip
        segment_sum(by_z, *segments.by_source, out=by_terms[:, 2 * width :])
        by_weight = by_edges = None
        if ctx.needs_input_grad[3]:
            by_weight = (by_z.T @ edge_features.to(by_z.dtype)).to(weight.dtype)
        if ctx.needs_input_grad[2]:
            by_edges = (by_z @ weight.to(by_z.dtype)).to(edge_features.dtype)
        return (
            by_h,  by_terms, by_edges, by_weight, by_gamma, by_beta, by_node_gamma,
            by_node_beta, None, None, None,
        )  # fmt: skip


class _Statistics(NamedTuple):
    """Mean, inverse standard deviation, scale and shift of a batch normalisation."""

    mean: torch.Tensor
    inverse: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor


def _moments(x, n_valid, norm, training, terms=None):
    """Statistics of a batch normalisation of x; with `terms`, they are added to x first."""
    n_rows, width = x.shape
    block_rows = _block_rows(n_rows)
    blocks = triton.cdiv(n_rows, block_rows)
    partial = x.new_empty(2, blocks, width, dtype=torch.float32)
    if terms is not None or training:
        values, batch = terms if terms is not None else (x, None)
        source, target = (batch.source, batch.target) if batch is not None else (n_valid, n_valid)
        _add_terms_kernel[(blocks,)](
            x, values, source, target, n_valid, partial[0], partial[1], n_rows,
            WIDTH=width, ROWS=block_rows, COLUMNS=triton.next_power_of_2(width),
            TERMS=terms is not None,
        )  # fmt: skip
    if not training:
        inverse = torch.rsqrt(norm.running_var + norm.eps)
        scale = norm.weight * inverse
        return _Statistics(norm.running_mean, inverse, scale, norm.bias - norm.running_mean * scale)
    out = x.new_empty(4, width, dtype=torch.float32)
    _combine_moments_kernel[(triton.cdiv(width, _BLOCK_COLUMNS),)](
        partial[0], partial[1], n_valid, blocks, norm.weight, norm.bias, norm.running_mean,
        norm.running_var, *out, norm.eps, norm.momentum,
        WIDTH=width, ROWS=block_rows, PARTIAL=_BLOCK_PARTIAL, COLUMNS=_BLOCK_COLUMNS,
    )  # fmt: skip
    norm.num_batches_tracked += 1
    return _Statistics(*out)


def _norm_gradients(sums, n_valid, statistics, training):
    """Gradients of gamma and beta, and coefficient and constant of the batch's own statistics."""
    _, n_blocks, width = sums.shape
    out = sums.new_empty(4, width)
    _combine_gradients_kernel[(triton.cdiv(width, _BLOCK_COLUMNS),)](
        sums[0], sums[1], n_valid, n_blocks, statistics.mean, statistics.inverse, statistics.scale,
        *out, TRAINING=training, WIDTH=width, PARTIAL=_BLOCK_PARTIAL, COLUMNS=_BLOCK_COLUMNS,
    )  # fmt: skip
    return tuple(out)
