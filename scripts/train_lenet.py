"""Train the LeNet-5 that ships with the package: scikit-learn's handwritten digits 0-4.

Run: python scripts/train_lenet.py
Writes src/regraft/networks/pretrained/lenet5.safetensors; the same machine gives the same bits again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from regraft.data.pictures.loading import Pixels, load_input
from regraft.evaluation.intervals.shares import wilson
from regraft.lab.digits import SOURCE_DIGITS, write_digits
from regraft.networks.architectures.lenet import LeNet5
from regraft.networks.weights.states import save_state
from regraft.networks.zoo.cards import cards
from regraft.records import InputSpec

TARGET = (
    Path(__file__).parents[1]
    / "src"
    / "regraft"
    / "networks"
    / "weights"
    / "pretrained"
    / "lenet5.safetensors"
)

VIEWS = 20
EPOCHS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 2, 32, 2e-3, 1e-2


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


def normalised(images: list[Pixels], spec: InputSpec) -> torch.Tensor:
    """`(N, C, H, W) float32` from N images of `(H, W, C) uint8`."""
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(spec.mean).reshape(1, -1, 1, 1)
    std = torch.tensor(spec.std).reshape(1, -1, 1, 1)
    return (pixels - mean) / std


def train(network: nn.Module, images: torch.Tensor, labels: npt.NDArray[np.int64]) -> None:
    """AdamW with a cosine to zero, in place; small enough to stand here rather than to need the engine."""
    targets, generator = torch.from_numpy(labels), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * -(-len(images) // BATCH))
    network.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images), generator=generator).split(BATCH):  # type: ignore[no-untyped-call]
            loss = functional.cross_entropy(network(images[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    network.eval()


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
    train(network, views, np.tile(labels[~is_test], VIEWS))
    with torch.inference_mode():
        predicted = network(images[is_test]).numpy().argmax(axis=1)
    accuracy = wilson(int((predicted == labels[is_test]).sum()), int(is_test.sum()))
    save_state(network.state_dict(), TARGET)
    print(f"{int((~is_test).sum())} images; accuracy on {int(is_test.sum())} others: ", end="")
    print(f"{accuracy.value:.1%} [{accuracy.low:.1%}, {accuracy.high:.1%}]; wrote {TARGET}")


if __name__ == "__main__":
    main()
