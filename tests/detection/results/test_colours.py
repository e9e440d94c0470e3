"""The palette against the standards that its docstring names, computed here from their formulas."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from regraft.detection.results.colours import PALETTE, styles_of

# Machado, Oliveira and Fernandes 2009, table 1, severity 1, for linear RGB.
AS_SEEN = {
    "by most people": np.eye(3),
    "without red cones": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998],
    ]),
    "without green cones": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881],
    ]),
    "without blue cones": np.array([
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900],
    ]),
}  # fmt: skip
TO_XYZ = np.array([
    [0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041],
])  # fmt: skip


def linear(colour: str) -> np.ndarray:
    """Linear RGB (IEC 61966-2-1)."""
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB under D65."""
    ratios = TO_XYZ @ rgb / np.array([0.95047, 1.0, 1.08883])
    roots = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * roots[1] - 16, 500 * (roots[0] - roots[1]), 200 * (roots[1] - roots[2])])


@pytest.mark.parametrize("eyes", AS_SEEN)
def test_any_two_colours_are_far_apart(eyes: str) -> None:
    seen = [lab(np.clip(AS_SEEN[eyes] @ linear(colour), 0, 1)) for colour in PALETTE]
    assert min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2)) >= 22


@pytest.mark.parametrize("ground", np.linspace(0, 1, 11))
def test_a_line_with_black_edges_is_visible_on_any_ground(ground: float) -> None:
    edge = (ground + 0.05) / 0.05
    for colour in PALETTE:
        luminance = float(TO_XYZ[1] @ linear(colour))
        own = (max(luminance, ground) + 0.05) / (min(luminance, ground) + 0.05)
        assert max(edge, own) >= 3
        assert (luminance + 0.05) / 0.05 >= 9  # black letters


def test_classes_beyond_the_palette_have_broken_lines() -> None:
    styles = styles_of([str(number) for number in range(30)])
    assert len({*styles.values()}) == 24
    assert styles["8"].colour == styles["0"].colour
    assert styles["8"].dashes is not None
    assert styles["24"] == styles["0"]
