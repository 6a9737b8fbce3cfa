"""The loss of members and targets, with rows and entries weighted."""

import numpy as np
import pytest
import torch

from sklmat.training import WeightedLoss


def numpy_loss(name, difference):
    size = np.abs(difference)
    if name == "huber":
        return np.where(size < 1, 0.5 * size**2, size - 0.5)
    return {"mae": size, "mse": size**2}[name]


@pytest.mark.parametrize("name", ["mae", "mse", "huber"])
@pytest.mark.parametrize("per_target", [True, False])
def test_loss_of_members_is_the_sum_of_their_means(name, per_target):
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 2))
    weight = rng.uniform(size=(4, 2) if per_target else 4)
    each = numpy_loss(name, prediction - target[:, None]) * weight.reshape(4, 1, -1)
    ours = WeightedLoss(name)(*map(torch.tensor, (prediction, target, weight)))
    assert ours.item() == pytest.approx(sum(each[:, m].mean() for m in range(3)))
    one = WeightedLoss(name)(*map(torch.tensor, (prediction[:, 0], target, weight)))
    assert one.item() == pytest.approx(each[:, 0].mean())


def test_loss_by_hand():
    prediction = torch.tensor([[[1.0, 5.0]], [[2.0, 9.0]]])
    target, weight = torch.tensor([[0.0, 3.0], [4.0, 0.0]]), torch.tensor([[1.0, 2.0], [1.0, 0.0]])
    # 1*1 + 2*2 + 1*2 + 0*9, over four
    assert WeightedLoss("mae")(prediction, target, weight).item() == 7 / 4
    assert WeightedLoss("mse")(prediction, target, weight).item() == (1 + 2 * 4 + 4) / 4


def test_cross_entropy_of_members():
    rng = np.random.default_rng(0)
    logits, classes, weight = rng.normal(size=(5, 2, 3)), np.array([0, 2, 1, 1, 0]), np.arange(5.0)
    log_odds = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    each = -log_odds[np.arange(5), :, classes] * weight[:, None]
    ours = WeightedLoss("cross_entropy")(*map(torch.tensor, (logits, classes, weight)))
    assert ours.item() == pytest.approx(each.mean(axis=0).sum())


def test_entries_without_weight_have_no_gradient():
    prediction = torch.randn(4, 2, 3, requires_grad=True)
    weight = torch.ones(4, 3)
    weight[1, 2] = weight[3] = 0
    WeightedLoss("mae")(prediction, torch.randn(4, 3), weight).backward()
    assert torch.equal(prediction.grad.abs().sum(dim=1) == 0, weight == 0)
