"""What skip connections do: the share of each block, single blocks removed, the loss around a solution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from regraft.lab.bench.networks import cifar
from regraft.lab.bench.sets import Labelled, chosen
from regraft.lab.bench.subject import Bench, value
from regraft.lab.bench.training import Small, accuracy, evaluated, settings, trained
from regraft.lab.results.experiment import Choices
from regraft.lab.results.rows import Value
from regraft.networks.architectures.cifar import Block
from regraft.networks.stages import Stage
from regraft.progress import Reporter
from regraft.randomness import torch_seed

PLAIN, RESIDUAL = "plain", "residual"
WHOLE, REMOVED, RISE = (
    "accuracy",
    "mean loss of accuracy by a removed block",
    "rise of the loss at distance 0.5",
)
_DEPTH, _AWAY = 20, (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """The images, and networks of 20 layers."""
    per_class, epochs, width = (30, 12, 6) if choices.is_quick else (100, 30, 8)
    data = chosen(choices.data, per_class=per_class, reporter=reporter)
    facts = {
        "data": data.key, "images of a class": per_class, "test images": 300, "epochs": epochs,
        "channels of the first stage": width, "layers": _DEPTH, "batch": 25, "learning rate": 0.05,
    }  # fmt: skip

    def measured(arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        del reporter
        train, test = data.sample(seed, per_class=per_class, test=300)
        network = cifar(_DEPTH, data.classes, shortcuts=arm == RESIDUAL, width=width, seed=seed)
        before = branch_shares(network, test)
        plan = settings(epochs=epochs, lr=0.05, optimizer="sgd", effective_batch=25)
        trained(network, train, plan, seed=seed)
        found = [value(f"share at the start of {name}", one) for name, one in before.items()]
        found += [
            value(f"share after training of {name}", one)
            for name, one in branch_shares(network, test).items()
        ]
        whole = accuracy(network, test)
        without = {name: accuracy(one, test) for name, one in without_blocks(network).items()}
        found += [value(f"accuracy without {name}", one) for name, one in without.items()]
        lost = sum(whole - one for one in without.values()) / len(without)
        losses = along_a_direction(network, test, _AWAY, seed=seed)
        rises = [loss - losses[0.0] for away, loss in losses.items() if abs(away) == 0.5]
        found += [value(f"loss at {away:g}", loss, "nats") for away, loss in losses.items()]
        return (*found, value(WHOLE, whole), value(REMOVED, lost), value(RISE, sum(rises) / 2, "nats"))

    return Bench(data.about, facts, measured)


@torch.no_grad()
def branch_shares(network: Small, given: Labelled) -> dict[str, float]:
    """The norm of what each block adds, over the sum of that and of the norm of its input as it arrives.

    Without a shortcut nothing of the input arrives, so the share is 1.
    """
    values, shares = network.stages[0].module.eval()(given.images), {}
    for stage in network.stages[1:]:
        block = stage.module.eval()
        assert isinstance(block, Block)
        arrives = block.identity(values) if block.shortcut else torch.zeros(())
        added, kept = block.branch(values).norm(), arrives.norm()
        shares[stage.name] = float(added / (added + kept))
        values = block(values)
    return shares


def without_blocks(network: Small) -> dict[str, Small]:
    """The network without each of its blocks that change no shape, as Veit et al. removed them."""
    found = {}
    for place, stage in enumerate(network.stages):
        if isinstance(stage.module, Block) and stage.module.new_channels == 0:
            stages = list(network.stages)
            stages[place] = Stage(stage.name, nn.Identity())
            found[stage.name] = Small(tuple(stages), network.head)
    return found


@torch.no_grad()
def along_a_direction(
    network: Small, given: Labelled, distances: Sequence[float], *, seed: int
) -> dict[float, float]:
    """The loss at distances along a random direction whose filters have the norms of the network's own.

    Source: Li, Xu, Taylor, Studer & Goldstein 2018, Visualizing the loss landscape of neural nets, section 4.
    """
    source = torch.Generator().manual_seed(torch_seed(seed, "direction"))
    weights = [one for one in network.whole.parameters() if one.ndim > 1]
    start = [one.clone() for one in weights]
    moves = []
    for one in weights:
        draw = torch.empty_like(one).normal_(generator=source).flatten(1)
        length = one.flatten(1).norm(dim=1, keepdim=True) / draw.norm(dim=1, keepdim=True).clamp(min=1e-12)
        moves.append((draw * length).reshape(one.shape))
    losses = {}
    for away in distances:
        for one, own, move in zip(weights, start, moves, strict=True):
            one.copy_(own + away * move)
        losses[away] = min(1e6, evaluated([network.whole], given)[0])
    for one, own in zip(weights, start, strict=True):
        one.copy_(own)
    return losses
