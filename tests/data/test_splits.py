from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regraft.data import drawn_sides
from regraft.data.findings.image_set import Images
from regraft.data.splits import fold_numbers, split_findings, split_images
from regraft.errors import SettingsError
from regraft.records import ImageItem, Side, Split
from regraft.tasks.classification import Classification
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.regression import Regression

pytestmark = pytest.mark.usefixtures("own_cache")


def item(number: int, label: str, side: Side | None = None, group: str | None = None) -> ImageItem:
    sha = hashlib.sha256(f"{number}".encode()).hexdigest()
    return ImageItem(f"{label}/{number}.png", label, sha, side, group or sha)


def data(items: list[ImageItem]) -> Images:
    return Images("/data", tuple(items), task=_task(items))


def _task(items: list[ImageItem]) -> Classification | None:
    labels = [item.label for item in items]
    return Classification.of(labels) if len(set(labels)) > 1 else None


def sizes(split: Split, side: Side) -> Counter[str]:
    return Counter(row.label for row in split.rows if row.side == side)


def test_each_class_gives_its_share() -> None:
    images = data([item(n, "ab"[n % 4 == 0]) for n in range(200)])
    assert sizes(split_images(images), "test") == {"a": 30, "b": 10}


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 25)), min_size=1, max_size=80),
    st.integers(0, 5),
    st.floats(0, 0.9),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_group_is_ever_on_two_sides(rows: list[tuple[str, int]], seed: int, share: float) -> None:
    images = data([item(n, label, group=f"g{group}") for n, (label, group) in enumerate(rows)])
    split = split_images(images, seed=seed, test_share=share)
    sides = defaultdict(set)
    for row in split.rows:
        sides[row.group].add(row.side)
    assert all(len(found) == 1 for found in sides.values())


def test_the_same_seed_gives_the_same_split_in_any_order() -> None:
    items = [item(n, "ab"[n % 2]) for n in range(100)]
    one = {row.path: row.side for row in split_images(data(items)).rows}
    other = split_images(replace(data(items[::-1]), root="/elsewhere"))
    assert {row.path: row.side for row in other.rows} == one


def test_other_seeds_give_other_splits() -> None:
    images = data([item(n, "ab"[n % 2]) for n in range(100)])
    assert split_images(images, seed=1).sha256 != split_images(images, seed=2).sha256


def test_added_images_leave_the_others_where_they_are() -> None:
    items = [item(n, "ab"[n % 2]) for n in range(100)]
    before = {row.path: row.side for row in split_images(data(items)).rows}
    grown = split_images(data([*items, *(item(n, "ab"[n % 2]) for n in range(100, 160))]))
    assert all(row.side == before[row.path] for row in grown.rows if row.path in before)
    assert sizes(grown, "test") == {"a": 16, "b": 16}


def relabelled(items: list[ImageItem], classes: int) -> list[ImageItem]:
    return [replace(one, label=f"{n % classes}") for n, one in enumerate(items)]


def test_another_table_over_the_same_folder_has_its_own_split() -> None:
    items = [item(n, "ab"[n % 2]) for n in range(40)]
    fine = replace(data(relabelled(items, 20)), source="fine.csv")
    alone = split_images(fine, save=False)
    split_images(replace(data(items), source="coarse.csv"))
    assert split_images(fine).rows == alone.rows
    assert sizes(alone, "train") == {f"{n}": 2 for n in range(20)}


def test_reuse_is_said_and_a_new_split_says_nothing() -> None:
    images = data([item(n, "ab"[n % 2]) for n in range(40)])
    assert split_images(images).history == ""
    assert split_images(images).history == "split of an earlier run reused for 40 of 40 images"


def test_classes_that_lost_their_share_are_drawn_again_and_the_others_stay() -> None:
    items = [item(n, "ab"[n % 2]) for n in range(100)]
    before = {row.sha256: row.side for row in split_images(data(items)).rows}
    tested = [one for one in items if one.label == "a" and before[one.sha256] == "test"]
    rest = [one for one in items if one.label == "a" and one not in tested][:5]
    after = split_images(data([*tested, *rest, *(one for one in items if one.label == "b")]))
    assert sizes(after, "test") == {"a": 3, "b": 10}
    assert "drawn again for classes whose share of test images had changed (a)" in after.history
    assert all(row.side == before[row.sha256] for row in after.rows if row.label == "b")


def test_a_class_whose_labels_changed_in_place_keeps_its_training_images() -> None:
    items = [item(n, "ab"[n % 2]) for n in range(40)]
    split_images(data(items))
    singles = split_images(data(relabelled(items, 40)))
    assert sizes(singles, "test") == {}


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_large_share_leaves_every_class_a_training_image(share: float, count: int) -> None:
    images = data([item(n, "big") for n in range(50)] + [item(100 + n, "tiny") for n in range(count)])
    assert sizes(split_images(images, test_share=share), "train")["tiny"] >= 1


def test_a_reused_split_is_saved_with_the_same_bytes(tmp_path: Path) -> None:
    images = data([item(n, "ab"[n % 2]) for n in range(40)])
    split_images(images, folder=tmp_path)
    (saved,) = tmp_path.iterdir()
    before = saved.read_bytes()
    assert "40 of 40" in split_images(images, folder=tmp_path).history
    assert saved.read_bytes() == before


def test_official_sides_are_honoured() -> None:
    images = data([item(n, "ab"[n % 2], "test" if n < 4 else "train") for n in range(20)])
    split = split_images(images)
    assert split.origin == "official"
    assert [row.side for row in split.rows[:5]] == ["test"] * 4 + ["train"]


def test_leaks_across_official_sides_are_named() -> None:
    images = data([item(0, "a", "train", "twin"), item(1, "a", "test", "twin"), item(2, "b", "test")])
    leaks = [finding.paths for finding in split_findings(split_images(images)) if finding.kind == "leak"]
    assert leaks == [("train: a/0.png", "test: a/1.png")]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tiny_classes_keep_a_training_image_and_get_a_message(count: int) -> None:
    images = data([item(n, "big") for n in range(50)] + [item(100 + n, "tiny") for n in range(count)])
    split = split_images(images)
    assert sizes(split, "train")["tiny"] >= 1
    assert any("class tiny" in finding.message for finding in split_findings(split))


def test_a_share_of_nothing_tests_nothing() -> None:
    split = split_images(data([item(n, "ab"[n % 2]) for n in range(10)]), test_share=0)
    assert sizes(split, "test") == {}


def test_a_share_out_of_range_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"test share 1.5 is outside of 0 to 0.9"):
        split_images(data([item(0, "a"), item(1, "b")]), test_share=1.5)


def test_folds_are_stratified_and_keep_groups_together() -> None:
    generator = np.random.default_rng(0)
    groups = [f"g{n}" for n in generator.integers(0, 60, 300)]
    labels = generator.integers(0, 3, 300)
    folds = fold_numbers(labels, groups, folds=5, seed=0)
    assert all(
        len({int(f) for f, g in zip(folds, groups, strict=True) if g == group}) == 1 for group in groups
    )
    counts = np.array([np.bincount(labels[folds == fold], minlength=3) for fold in range(5)])
    assert counts.sum(axis=1).min() > 40
    assert counts.min() >= 12


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=1, max_size=60),
    st.integers(1, 6),
    st.integers(0, 3),
)
@settings(max_examples=100, deadline=None)
def test_each_group_goes_to_the_fold_with_the_fewest_of_its_class(
    rows: list[tuple[int, int]], folds: int, seed: int
) -> None:
    labels, groups = [label for label, _ in rows], [f"g{group}" for _, group in rows]
    members = {group: [n for n, other in enumerate(groups) if other == group] for group in set(groups)}
    placed: dict[int, int] = {}

    def turn(group: str) -> tuple[int, bytes]:
        return -len(members[group]), hashlib.sha256(f"{seed}/{group}".encode()).digest()

    def fullness(fold: int, main: int) -> tuple[int, int]:
        inside = [labels[number] for number, other in placed.items() if other == fold]
        return inside.count(main), len(inside)

    for group in sorted(members, key=turn):
        own = Counter(labels[number] for number in members[group])
        main = min(own, key=lambda label: (-own[label], label))
        fold = min(range(folds), key=lambda fold: fullness(fold, main))
        placed |= dict.fromkeys(members[group], fold)
    expected = [placed[number] for number in range(len(rows))]
    assert fold_numbers(labels, groups, folds=folds, seed=seed).tolist() == expected


def test_a_split_that_fits_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    images = data([item(n, "ab"[n % 4 == 0]) for n in range(200)])
    first = split_images(images)
    monkeypatch.setattr(drawn_sides, "rank_of", pytest.fail)
    again = split_images(images)
    assert again.rows == first.rows
    assert again.history == "split of an earlier run reused for 200 of 200 images"


def test_every_part_of_a_split_of_labels_has_its_share_of_the_rare_one() -> None:
    lists = ["rare|usual" if number % 20 == 0 else "usual" if number % 2 else "" for number in range(200)]
    items = tuple(item(number, label) for number, label in enumerate(lists))
    split = split_images(Images("/labels", items, task=Multilabel.of(lists)))
    tested = [row.label for row in split.rows if row.side == "test"]
    assert len(tested) == pytest.approx(40, abs=2)
    assert sum("rare" in label for label in tested) == 2


def test_a_split_of_labels_is_reused_for_the_images_that_it_has() -> None:
    lists = ["a|b" if number % 3 else "b" for number in range(90)]
    items = [item(number, label) for number, label in enumerate(lists)]
    task = Multilabel.of(lists)
    first = split_images(Images("/more", tuple(items[:60]), task=task))
    second = split_images(Images("/more", tuple(items), task=task))
    sides = {row.sha256: row.side for row in second.rows}
    assert all(sides[row.sha256] == row.side for row in first.rows)
    assert second.history == "split of an earlier run reused for 60 of 90 images"


def test_a_split_of_numbers_tests_small_and_large_ones() -> None:
    items = tuple(item(number, str(number)) for number in range(100))
    split = split_images(Images("/numbers", items, task=Regression()))
    tested = sorted(int(row.label) for row in split.rows if row.side == "test")
    assert [sum(number // 10 == ten for number in tested) for ten in range(10)] == [2] * 10


def test_folds_of_labels_balance_each_label() -> None:
    strata = np.array([[number % 2 == 0, number % 10 == 0] for number in range(100)])
    folds = fold_numbers(strata, [str(number) for number in range(100)], folds=5, seed=0)
    assert [int(strata[folds == fold, 1].sum()) for fold in range(5)] == [2] * 5


def test_a_label_with_few_training_images_is_a_finding() -> None:
    lists = ["rare|usual" if number < 3 else "usual" for number in range(60)]
    items = tuple(item(number, label) for number, label in enumerate(lists))
    task = Multilabel.of(lists)
    found = split_findings(split_images(Images("/rare", items, task=task)), task)
    assert any("label rare is present in" in one.message for one in found)
