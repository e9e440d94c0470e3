from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from regraft.errors import DataError
from regraft.lab.bench.sets import SmallSet, chosen, digits, gratings, resized, shuffled
from regraft.progress import Silent


@pytest.fixture(scope="module")
def ten() -> SmallSet:
    return digits()


def test_the_digits_are_standardised(ten: SmallSet) -> None:
    assert tuple(ten.images.shape) == (1797, 1, 8, 8)
    assert float(ten.images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(ten.images.std()) == pytest.approx(1, abs=1e-5)


def test_a_sample_has_as_many_of_each_class_and_no_image_twice(ten: SmallSet) -> None:
    train, test = ten.sample(3, per_class=7, test=50)
    assert np.bincount(train.targets).tolist() == [7] * 10
    rows = torch.cat([train.images, test.images]).flatten(1)
    assert len(torch.unique(rows, dim=0)) == len(rows) == 120


def test_another_seed_draws_another_sample(ten: SmallSet) -> None:
    first, again, other = (ten.sample(seed, per_class=3, test=5)[0] for seed in (0, 0, 1))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)


def test_some_classes_are_numbered_anew(ten: SmallSet) -> None:
    part = ten.of([7, 2])
    assert part.classes == 2
    assert torch.equal(part.images[part.targets == 0], ten.images[ten.targets == 7])


def test_stripes_change_across_their_direction() -> None:
    """Class 0 has an angle of about 0: along x, the values change; along y, they hardly do."""
    images = gratings(classes=4, images=400).of([0]).images[:, 0]
    assert images.diff(dim=2).square().mean() > 1.5 * images.diff(dim=1).square().mean()


def test_shuffling_keeps_the_values_and_loses_the_neighbours(ten: SmallSet) -> None:
    other = shuffled(ten)
    assert torch.equal(other.images.flatten(1).sort(dim=1)[0], ten.images.flatten(1).sort(dim=1)[0])
    roughness = [one.images.diff(dim=3).square().mean() for one in (ten, other)]
    assert roughness[1] > roughness[0]


def test_enlarging_keeps_what_is_constant() -> None:
    assert torch.allclose(resized(torch.full((1, 1, 8, 8), 3.0), 12), torch.full((1, 1, 12, 12), 3.0))


def test_a_folder_is_read_grey_and_small(digits: Path) -> None:
    found = chosen(str(digits), per_class=2, reporter=Silent())
    assert found.images.shape[1:] == (1, 16, 16)
    assert found.classes == len([one for one in digits.iterdir() if one.is_dir()])


def test_too_few_images_are_refused(digits: Path) -> None:
    with pytest.raises(DataError, match=r"has \d+ images, but this experiment needs 9002 of each"):
        chosen(str(digits), per_class=9000, reporter=Silent())


def test_too_few_classes_are_refused(digits: Path) -> None:
    with pytest.raises(DataError, match="has 3 classes, but this experiment needs 4"):
        chosen(str(digits), per_class=2, reporter=Silent(), classes=4)
