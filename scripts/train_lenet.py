"""Train the LeNet-5 that ships with the package: scikit-learn's handwritten digits 0-4.

Run: python scripts/train_lenet.py
Writes src/regraft/networks/pretrained/lenet5.safetensors; the same machine gives the same bits again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from regraft.data.loading import load_input
from regraft.evaluation.scores import wilson
from regraft.lab.digits import SOURCE_DIGITS, write_digits
from regraft.networks.building import save_state
from regraft.networks.lenet import LeNet5
from regraft.networks.zoo import cards
from regraft.training.loop import TrainingSettings, normalised, predict_logits, train

TARGET = Path(__file__).parents[1] / "src" / "regraft" / "networks" / "pretrained" / "lenet5.safetensors"

VIEWS = 20


def distorted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image turned, slanted, scaled and moved a little, as in LeCun et al. (1998), section III.B."""

    def around_zero(width: float) -> torch.Tensor:
        return (torch.rand(len(images), generator=generator) - 0.5) * width

    angle, scale, slant = around_zero(0.6), 1 + around_zero(0.4), around_zero(0.5)
    matrix = torch.zeros(len(images), 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos() * scale
    matrix[:, 0, 1], matrix[:, 1, 0] = slant - angle.sin(), angle.sin()
    matrix[:, 0, 2], matrix[:, 1, 2] = around_zero(0.4), around_zero(0.4)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def main() -> None:
    spec = cards()["lenet5"].input_spec
    with tempfile.TemporaryDirectory() as folder:
        pairs = write_digits(Path(folder), SOURCE_DIGITS)
        images = normalised([load_input(Path(folder, path), spec) for path, _ in pairs], spec)
    labels = np.array([int(label) for _, label in pairs], dtype=np.int64)
    is_test = np.arange(len(labels)) % 5 == 0
    torch.manual_seed(0)
    network = LeNet5(num_classes=len(SOURCE_DIGITS))
    generator = torch.Generator().manual_seed(0)
    views = torch.cat([distorted(images[~is_test], generator) for _ in range(VIEWS)])
    train(network, views, np.tile(labels[~is_test], VIEWS), TrainingSettings(epochs=2))
    predicted = predict_logits(network, images[is_test]).argmax(axis=1)
    accuracy = wilson(int((predicted == labels[is_test]).sum()), int(is_test.sum()))
    save_state(network.state_dict(), TARGET)
    print(f"{int((~is_test).sum())} images; accuracy on {int(is_test.sum())} others: ", end="")
    print(f"{accuracy.value:.1%} [{accuracy.low:.1%}, {accuracy.high:.1%}]; wrote {TARGET}")


if __name__ == "__main__":
    main()
