"""Small networks for small grey images, as stages and a head."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from regraft.lab.bench.training import Small
from regraft.networks.architectures.cifar import CifarResNet
from regraft.networks.architectures.lenet import LeNet5
from regraft.networks.initialisation import initialise
from regraft.networks.stages import Stage
from regraft.settings import InitName


def head(width: int, classes: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Mean over positions, dropout, a linear classifier."""
    pooled: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*pooled, nn.Dropout(dropout), nn.Linear(width, classes))


def small(
    modules: Sequence[nn.Module], last: nn.Module, *, seed: int, init: InitName = "he", names: str = "layer"
) -> Small:
    """A network of modules in a row with new weights, in evaluation mode.

    Args:
        modules: the stages.
        last: the head.
        seed: random seed of the weights.
        init: the rule by which they are drawn.
        names: what the stages are called before their number.
    """
    stages = tuple(Stage(f"{names} {number}", module) for number, module in enumerate(modules, 1))
    network = Small(stages, last)
    initialise(network.whole.eval(), init, seed=seed)
    return network


def linear_conv(inputs: int, outputs: int, size: int = 3) -> list[nn.Module]:
    """A convolution and BatchNorm: the end of a residual branch."""
    convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


def three_blocks(block: Callable[[int], nn.Module]) -> Callable[[int], list[nn.Module]]:
    """A convolution and three blocks with a pooling between them, as a function of their width."""

    def blocks(width: int) -> list[nn.Module]:
        return [conv(1, width), block(width), nn.Sequential(nn.MaxPool2d(2), block(width)), block(width)]

    return blocks


def conv(inputs: int, outputs: int, size: int = 3, *, norm: bool = True, pool: bool = False) -> nn.Sequential:
    """A convolution, BatchNorm unless there is to be none, ReLU, and pooling if there is to be some."""
    parts: list[nn.Module] = [nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=not norm)]
    parts += [nn.BatchNorm2d(outputs)] if norm else []
    parts.append(nn.ReLU())
    parts += [nn.MaxPool2d(2)] if pool else []
    return nn.Sequential(*parts)


def convolutional(
    classes: int,
    *,
    seed: int,
    width: int = 12,
    norm: bool = True,
    dropout: float = 0.0,
    first: int = 3,
    init: InitName = "he",
) -> Small:
    """Five convolutions with two poolings: from `(N, 1, S, S)` to `(N, classes)`."""
    modules = [
        conv(1, width, first, norm=norm),
        conv(width, width, norm=norm, pool=True),
        conv(width, 2 * width, norm=norm),
        conv(2 * width, 2 * width, norm=norm, pool=True),
        conv(2 * width, 2 * width, norm=norm),
    ]
    return small(modules, head(2 * width, classes, dropout=dropout), seed=seed, init=init)


def cifar(depth: int, classes: int, *, shortcuts: bool, width: int, seed: int) -> Small:
    """The networks of He et al. 2015, section 4.2, narrower, with a stage for each block."""
    network = CifarResNet(depth, shortcuts=shortcuts, num_classes=classes, in_chans=1, width=width)
    blocks = [*network.layer1, *network.layer2, *network.layer3]
    stages = (
        Stage("stem", network.stem),
        *(Stage(f"block {number}", block) for number, block in enumerate(blocks, 1)),
    )
    found = Small(stages, nn.Sequential(network.pool, network.flatten, network.fc))
    initialise(found.whole.eval(), "he", seed=seed)
    return found


def lenet(classes: int, *, seed: int) -> Small:
    """LeNet-5 as stages, with Glorot's start."""
    net = LeNet5(num_classes=classes)
    parts: Sequence[Sequence[nn.Module]] = (
        (net.c1, nn.Tanh(), net.s2),
        (net.c3, nn.Tanh(), net.s4),
        (net.c5, nn.Tanh(), net.flatten),
        (net.f6, nn.Tanh()),
    )
    stages = tuple(Stage(f"layer {n}", nn.Sequential(*own)) for n, own in enumerate(parts, 1))
    found = Small(stages, net.output)
    initialise(found.whole, "glorot", seed=seed)
    return found
