from __future__ import annotations

import pytest
import torch
from torch import nn

from regraft.settings import TrainSettings
from regraft.training.loop.optimization import (
    Group,
    add_gradient_noise,
    clip,
    follow,
    gradient_norms,
    make_groups,
    make_optimizer,
    shrink,
)
from tests.training.examples import small_tail


def group(values: list[list[float]], *, shrinks: bool = True, part: str = "layer") -> Group:
    return Group(part, 1.0, shrinks, ("w",), (nn.Parameter(torch.tensor(values)),))


def test_weight_decay_by_hand() -> None:
    one = group([[2.0, -4.0]])
    shrink(one, 0.1, TrainSettings(weight_decay=0.5))
    assert one.parameters[0].tolist() == [pytest.approx([1.9, -3.8])]


def test_l1_by_hand_stops_at_zero() -> None:
    one = group([[0.5, -0.03, 0.0]])
    shrink(one, 0.1, TrainSettings(weight_decay=0, l1=0.5))
    assert one.parameters[0].tolist() == [pytest.approx([0.45, 0.0, 0.0])]


def test_l2_sp_by_hand_pulls_to_the_start() -> None:
    one = group([[2.0, 0.0]])
    shrink(one, 0.1, TrainSettings(weight_decay=0, l2_sp=0.5), {"w": torch.tensor([[1.0, 1.0]])})
    assert one.parameters[0].tolist() == [pytest.approx([1.95, 0.05])]


def test_the_head_has_no_start_to_be_pulled_to() -> None:
    one = group([[2.0]], part="head")
    shrink(one, 0.1, TrainSettings(weight_decay=0, l2_sp=0.5), {"w": torch.tensor([[1.0]])})
    assert one.parameters[0].tolist() == [[2.0]]


def test_norms_and_biases_do_not_shrink() -> None:
    one = group([[2.0]], shrinks=False)
    shrink(one, 0.1, TrainSettings(weight_decay=0.5, l1=1.0))
    assert one.parameters[0].tolist() == [[2.0]]


def test_adamw_with_decoupled_decay_is_torchs() -> None:
    """Ours decays after the step, torch before it: equal to first order."""
    ours, theirs = group([[1.0, -2.0]]), nn.Parameter(torch.tensor([[1.0, -2.0]]))
    settings = TrainSettings(weight_decay=0.01)
    optimizer = make_optimizer([ours], settings)
    reference = torch.optim.AdamW([theirs], lr=1e-3, weight_decay=0.01)
    for _ in range(5):
        for parameter in (ours.parameters[0], theirs):
            parameter.grad = parameter.detach().sin()
        optimizer.param_groups[0]["lr"] = 1e-3
        optimizer.step()
        shrink(ours, 1e-3, settings)
        reference.step()
    assert torch.allclose(ours.parameters[0], theirs, atol=1e-6)


def test_deeper_stages_learn_faster_and_norms_stand_apart() -> None:
    groups = make_groups(small_tail(), lr_decay=0.5)
    found = {(one.part, one.shrinks): one.lr_factor for one in groups}
    assert found == {
        ("one", True): 0.5, ("one", False): 0.5, ("two", True): 1.0, ("two", False): 1.0,
        ("head", True): 1.0, ("head", False): 1.0,
    }  # fmt: skip


def test_clipping_is_torchs() -> None:
    ours, theirs = group([[3.0, 4.0]]), nn.Parameter(torch.tensor([[3.0, 4.0]]))
    for parameter in (ours.parameters[0], theirs):
        parameter.grad = torch.tensor([[30.0, 40.0]])
    norm = gradient_norms([ours])["layer"]
    clip([ours], norm, 2.0)
    nn.utils.clip_grad_norm_([theirs], 2.0)
    assert norm == 50.0
    assert ours.parameters[0].grad is not None
    assert torch.allclose(ours.parameters[0].grad, theirs.grad, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("step", "variance"), [(0, 0.3), (31, 0.3 / 32**0.55)])
def test_gradient_noise_has_the_annealed_variance(step: int, variance: float) -> None:
    one = Group("layer", 1.0, True, ("w",), (nn.Parameter(torch.zeros(200, 200)),))
    one.parameters[0].grad = torch.zeros(200, 200)
    add_gradient_noise([one], 0.3, seed=0, phase=0, step=step)
    assert float(one.parameters[0].grad.var()) == pytest.approx(variance, rel=0.03)


def test_the_moving_average_by_hand() -> None:
    tail = nn.Linear(1, 1, bias=False)
    tail.weight.data.fill_(10.0)
    average = {"weight": torch.tensor([[0.0]])}
    follow(average, tail, 0.9, 1000)
    assert average["weight"].item() == pytest.approx(1.0)
    follow(average, tail, 0.9, 1)  # early on it forgets faster: decay 2 / 11
    assert average["weight"].item() == pytest.approx(1.0 * 2 / 11 + 10 * 9 / 11)
