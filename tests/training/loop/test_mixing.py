from __future__ import annotations

import numpy as np
import pytest
import torch

from regraft.settings import TrainSettings
from regraft.training.loop.mixing import Mix, draw_mix, mix_aims, mix_values

SWAP = torch.tensor([1, 0])


def mix(**changes: object) -> Mix:
    values = {"partners": None, "share": 1.0, "box": None, "flips": None, "noise": 0.0, "noise_seed": 0}
    return Mix(**{**values, **changes})  # type: ignore[arg-type]


def test_mixup_by_hand() -> None:
    values, share = mix_values(torch.tensor([[1.0, 2.0], [3.0, 6.0]]), mix(partners=SWAP, share=0.75))
    assert share == 0.75
    assert values.tolist() == [[1.5, 3.0], [2.5, 5.0]]
    targets = mix_aims(torch.eye(2), mix(partners=SWAP), share)
    assert targets.tolist() == [[0.75, 0.25], [0.25, 0.75]]


def test_cutmix_by_hand() -> None:
    values = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    mixed, share = mix_values(values, mix(partners=SWAP, share=0.5, box=(0.25, 0.5, 0.5, 0.5)))
    assert mixed[0, 0].tolist() == [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]]
    assert share == 1 - 4 / 16


def test_flips_by_hand() -> None:
    values = torch.arange(4.0).reshape(2, 1, 1, 2)
    flipped, _ = mix_values(values, mix(flips=torch.tensor([True, False])))
    assert flipped.flatten().tolist() == [1, 0, 2, 3]


def test_noise_has_the_spread_asked_for() -> None:
    values = torch.randn(64, 1000, generator=torch.Generator().manual_seed(0)) * 5
    noisy, _ = mix_values(values, mix(noise=0.2, noise_seed=7))
    assert float((noisy - values).std()) == pytest.approx(1.0, rel=0.02)
    assert float((noisy - values).mean()) == pytest.approx(0.0, abs=0.02)


def test_shares_follow_the_beta_distribution() -> None:
    settings = TrainSettings(mixup=0.5)
    shares = [draw_mix(settings, 2, seed=0, phase=0, step=step).share for step in range(3000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.02)
    assert np.var(shares) == pytest.approx(1 / 8, abs=0.01)  # 1 / (4 (2 alpha + 1))


def test_a_draw_depends_on_its_step_alone() -> None:
    settings = TrainSettings(mixup=0.4, cutmix=1.0, activation_flip=True)
    one, same, other = (draw_mix(settings, 8, seed=3, phase=0, step=step) for step in (5, 5, 6))
    assert one.partners is not None
    assert same.partners is not None
    assert torch.equal(one.partners, same.partners)
    assert one.share == same.share != other.share
