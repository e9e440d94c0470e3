from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from regraft.heads.head import Head
from regraft.records import Column, HeadRecord
from regraft.training.loop.objective import Unit
from regraft.training.start.trained_head import EarlierHead, HeadStart, LinearHead
from tests.training.examples import small_tail


def solved_head(width: int = 5, classes: int = 3) -> Head:
    draws = np.random.default_rng(0)
    arrays = {
        "mean": draws.normal(size=width),
        "scale": np.abs(draws.normal(size=width)),
        "weights": draws.normal(size=(width, classes)) * 3,
        "intercepts": draws.normal(size=classes),
    }
    column = Column(stage="last", statistic="mean", start=0, stop=width)
    record = HeadRecord(kind="logistic", columns=(column,), hyperparameters={})
    return Head(record, {name: array.astype(np.float32) for name, array in arrays.items()})


def test_the_head_starts_as_the_solved_one_and_goes_back_to_it() -> None:
    solved = solved_head()
    head = LinearHead(HeadStart.from_solved(solved), "mean").eval()
    features = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    with torch.no_grad():
        logits = head(torch.from_numpy(features)).numpy()
    assert logits == pytest.approx(solved.scores(features), abs=1e-4)
    back = head.solved(solved.record.columns)
    assert back.probabilities(features) == pytest.approx(solved.probabilities(features), abs=1e-5)


def test_an_earlier_head_goes_on_for_the_classes_that_come_again() -> None:
    old, new = solved_head(classes=3), solved_head(classes=4)
    new.arrays["mean"][:] += 0.5
    earlier = EarlierHead(("cat", "dog", "emu"), old)
    labels = ("dog", "fox", "cat", "yak")
    start = HeadStart.remapped(earlier, labels, HeadStart.from_solved(new))
    features = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    logits = ((features - start.mean) * start.scale) @ start.weights + start.intercepts

    def centred(scores: np.ndarray) -> np.ndarray:
        return scores - scores.mean(axis=1, keepdims=True)

    assert logits[:, [2, 0]] == pytest.approx(centred(old.scores(features))[:, [0, 1]], abs=1e-4)
    assert logits[:, [1, 3]] == pytest.approx(centred(new.scores(features))[:, [1, 3]], abs=1e-4)


def test_auxiliary_classifiers_train_and_leave_the_head_alone() -> None:
    tail = small_tail(batchnorm=True)
    values = torch.randn(4, 2, 5, 5)
    tail.auxiliaries["0"] = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(6, 3)
    )
    tail.train_from(0)
    tail.train()
    assert [logits.shape[1] for logits in tail.all_scores(values)] == [tail.head.linear.out_features, 3]
    assert any(name.startswith("auxiliary after") for name, _, _ in tail.parts())
    tail.eval()
    assert len(tail.all_scores(values)) == 1
    tail.train_from(1)  # it reads a stage that stands still now
    tail.train()
    assert len(tail.all_scores(values)) == 1


def test_a_zero_head_gives_every_class_the_same() -> None:
    start = HeadStart.zero(5, 3, like=HeadStart.from_solved(solved_head()))
    assert LinearHead(start, "mean")(torch.randn(2, 5)).tolist() == [[0, 0, 0]] * 2


def test_dropout_by_hand_scales_what_it_keeps() -> None:
    start = replace(HeadStart.zero(400, 1), weights=np.ones((400, 1), dtype=np.float32))
    head = LinearHead(start, "mean", dropout=0.75).train()
    torch.manual_seed(0)
    values = torch.cat([head(torch.ones(1, 400)) for _ in range(200)])
    assert float((values.detach() / 4).remainder(1).abs().max()) < 1e-3  # each kept feature counts four times
    assert float(values.detach().mean()) == pytest.approx(400, rel=0.02)


def test_stages_before_the_first_stand_still_in_evaluation() -> None:
    tail = small_tail(batchnorm=True)
    tail.train_from(1)
    tail.train()
    assert not any(p.requires_grad for p in tail.stages[0].parameters())
    assert not any(m.training for m in tail.stages[0].modules())
    assert tail.stages[1].training


def of_link(head: Head, link: str, kind: str = "logistic") -> Head:
    return Head(head.record.model_copy(update={"link": link, "kind": kind}), head.arrays)


def test_labels_that_come_again_keep_their_own_scores() -> None:
    """Nothing is centred: the score of a label means something by itself."""
    old, new = of_link(solved_head(classes=3), "sigmoid"), of_link(solved_head(classes=2), "sigmoid")
    new.arrays["mean"][:] += 0.5
    earlier = EarlierHead(("cat", "dog", "emu"), old)
    start = HeadStart.remapped(earlier, ("emu", "fox"), HeadStart.from_solved(new))
    features = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    scores = ((features - start.mean) * start.scale) @ start.weights + start.intercepts
    assert scores[:, 0] == pytest.approx(old.scores(features)[:, 2], abs=1e-4)
    assert scores[:, 1] == pytest.approx(new.scores(features)[:, 1], abs=1e-4)


def test_a_number_is_trained_in_its_unit_and_saved_in_the_users() -> None:
    solved, unit = of_link(solved_head(classes=1), "identity", "ridge"), Unit(mean=1e6, deviation=250.0)
    start = HeadStart.from_solved(solved).counted_in(unit)
    head = LinearHead(start, "mean").eval()
    features = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    with torch.no_grad():
        scores = head(torch.from_numpy(features)).numpy()
    assert scores * 250 + 1e6 == pytest.approx(solved.scores(features), abs=0.5)
    back = head.solved(solved.record.columns, link="identity", unit=unit)
    assert (back.record.kind, back.record.link) == ("ridge", "identity")
    assert back.scores(features) == pytest.approx(solved.scores(features), abs=0.5)
