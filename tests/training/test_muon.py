"""The optimizer Muon: orthogonal steps for matrices, AdamW for all other weights."""

import copy

import numpy as np
import pytest
import torch

from sklmat.training._muon import Muon, orthogonalize


def step_of(weight, gradient, **settings):
    """Change of a weight by the first step."""
    parameter = torch.nn.Parameter(weight.clone())
    parameter.grad = gradient
    Muon([parameter], **{"lr": 0.1, "weight_decay": 0.0, **settings}).step()
    return parameter.detach() - weight


def test_singular_values_become_one_and_vectors_stay():
    matrix = torch.diag(torch.tensor([3.0, 0.3, 0.0]))[:, :2]
    wide, tall = orthogonalize(matrix.T[None])[0], orthogonalize(matrix[None])[0]
    assert torch.equal(wide.T, tall)
    assert torch.equal(tall != 0, matrix != 0)
    assert all(0.6 < value < 1.3 for value in tall.diagonal().tolist())


def test_scale_of_a_matrix_does_not_matter():
    matrix = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(orthogonalize(1e-6 * matrix), orthogonalize(matrix), atol=1e-5)
    assert not orthogonalize(torch.zeros(1, 2, 2)).any()


def test_step_of_a_matrix_has_the_size_of_one_of_adam():
    # 4 x 4 with equal singular values: the step is -lr * 0.2 * sqrt(4) * s * identity.
    change = step_of(torch.zeros(4, 4), 7.0 * torch.eye(4))
    one = orthogonalize(torch.eye(4)[None])[0]
    np.testing.assert_allclose(change, -0.1 * 0.2 * 2 * one, rtol=1e-5)
    assert 0.7 < one[0, 0] < 1.2


def test_weights_decay():
    change = step_of(torch.ones(2, 2), torch.zeros(2, 2), weight_decay=0.5)
    np.testing.assert_allclose(change, -0.1 * 0.5 * np.ones((2, 2)), rtol=1e-6)


@pytest.mark.parametrize("fused", [False, True])
def test_other_weights_get_the_steps_of_adam(fused):
    ours, adam = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    matrix = torch.nn.Parameter(torch.ones(3, 3))
    settings = {"lr": 0.1, "weight_decay": 0.01, "fused": fused}
    optimizers = Muon([ours, matrix], **settings), torch.optim.AdamW([adam], **settings)
    for k in range(3):
        for optimizer in optimizers:
            optimizer.zero_grad()
        gradient = torch.tensor([1.0, -2.0, k])
        ours.grad, adam.grad, matrix.grad = gradient, gradient.clone(), torch.eye(3)
        for optimizer in optimizers:
            optimizer.step()
    assert torch.equal(ours, adam)
    assert torch.equal(matrix.grad, torch.eye(3))


def test_closure_computes_the_gradients():
    weight = torch.nn.Parameter(torch.eye(2))
    optimizer = Muon([weight], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert (weight.diagonal() < 1).all()


def test_training_goes_on_from_a_saved_state():
    weight = torch.nn.Parameter(torch.eye(3))
    optimizer = Muon([weight], lr=0.1, fused=True)
    gradients = torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(1))
    for gradient in gradients[:2]:
        weight.grad = gradient
        optimizer.step()
    other = torch.nn.Parameter(weight.detach().clone())
    resumed = Muon([other], lr=0.1, fused=True)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for gradient in gradients[2:]:
        for parameter, its_optimizer in ((weight, optimizer), (other, resumed)):
            parameter.grad = gradient
            its_optimizer.step()
    assert torch.equal(weight, other)
