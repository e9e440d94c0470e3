"""The networks that tests build: one of each way to be cut, and others by turns; `make soak` has all."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from regraft.networks.zoo.cards import cards
from tests.networks.families import FAMILIES

WAYS = {
    "grey": "lenet5",
    "plain": "cifar_plain20",
    "residual": "cifar_resnet20",
    "squeeze-and-excite": "mobilenetv3_small_050",
    "no class token": "test_vit_relpos",
    "LayerScale": "test_convnext",
}
"""A small network for most ways to be cut; the others are seen by turns, or have a test of their own."""
TURNS = 10
EVERY = (*cards(), *FAMILIES)


def sample(turn: int) -> set[str]:
    """The networks of a turn: one of each way, and each tenth of the others; ten turns give all of them."""
    others = [name for name in EVERY if name not in WAYS.values()]
    return {*WAYS.values(), *others[turn % TURNS :: TURNS]}


def current_turn() -> int:
    """$REGRAFT_SAMPLE; else the number of commits so far, so that ten commits in a row see every network.

    A shallow clone can't count its commits, and takes the last one's hash; without git it is always turn 0.
    """
    asked = os.environ.get("REGRAFT_SAMPLE")
    return int(asked) % TURNS if asked else turn_of(Path(__file__).parents[2])


def turn_of(checkout: Path) -> int:
    """The turn of a checkout's last commit."""
    try:
        shallow, commit = _git(checkout, "rev-parse", "--is-shallow-repository", "HEAD")
        number = int(commit, 16) if shallow == "true" else int(*_git(checkout, "rev-list", "--count", "HEAD"))
    except (OSError, subprocess.CalledProcessError):
        return 0
    return number % TURNS


def _git(checkout: Path, *words: str) -> list[str]:
    return subprocess.run(
        ["git", *words], cwd=checkout, capture_output=True, text=True, check=True
    ).stdout.split()


def in_turn(names: Sequence[str], count: int) -> list[object]:
    """Parameters of a test: names of which so many have their turn, the others marked `soak`."""
    first = current_turn() * count
    chosen = {names[(first + step) % len(names)] for step in range(count)}
    return _marked(names, chosen)


def by_turns(names: Iterable[str] = EVERY) -> list[object]:
    """Parameters of a test: every name, those that are not in the current turn marked `soak`."""
    return _marked(names, sample(current_turn()))


def _marked(names: Iterable[str], chosen: set[str]) -> list[object]:
    return [name if name in chosen else pytest.param(name, marks=pytest.mark.soak) for name in names]
