"""Mean regret of the ladder and of simple rules, from the rows that `regret.py` left.

Run: python benchmarks/regret_table.py
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from common import earlier, save
from regret import Case, exhaustive_seconds

from regraft.evaluation.scores import mean_interval

# What the field's table says: training images from which data is large, and what is unlike ImageNet by its
# distance.
LARGE_FROM = 1_000
DISSIMILAR = ("omniglot_small1",)
CLASSES = {"clothing": 10, "trash6": 6, "brain_mri": 2, "omniglot_small1": 136}
LARGEST_CLASS = {"omniglot_small1": 16}


def of_the_table(case: Case, ways: dict[str, str]) -> str:
    """What the 2 x 2 table of size and similarity would have done."""
    _, data, per_class, _ = case
    is_large = CLASSES[data] * min(per_class, LARGEST_CLASS.get(data, per_class)) >= LARGE_FROM
    if data in DISSIMILAR:
        stages = [way for way in ways if way.startswith("svm @")]
        return "full" if is_large else stages[2 * len(stages) // 3]
    return "last-blocks, cut 50%" if is_large else "probe"


def table() -> None:
    exhaustive, ladders = earlier("regret_exhaustive"), earlier("regret_ladder")
    fastai = {case_of(row): row["test"] for row in earlier("regret_fastai")}
    losses: dict[str, list[tuple[int, float, float]]] = {}
    shares = []
    for ladder in ladders:
        case = case_of(ladder)
        own = [row for row in exhaustive if case_of(row) == case]
        ways = {row["way"]: row["rights"] for row in own if row["rights"]}
        cpu = sum(row["cpu_s"] for row in own)
        shares.append((ladder["wall_s"] / exhaustive_seconds(case), ladder["cpu_s"] / cpu))
        chosen = {
            "ladder": ladder["rights"],
            "always probe": ways["probe"],
            "always many stages": ways["many-stages"],
            "always last blocks, cut 50%": ways["last-blocks, cut 50%"],
            "always full": ways["full"],
            "the field's table": ways[of_the_table(case, ways)],
        }
        for name, rights in chosen.items():
            losses.setdefault(name, []).append((case[2], *lost(rights, ways)))
        if case in fastai:
            best = max(rights.count("1") / len(rights) for rights in ways.values())
            raw = 100 * (best - fastai[case])
            losses.setdefault("fastai's recipe", []).append((case[2], raw, float("nan")))
    summary = {name: summed(values) for name, values in losses.items()}
    for name, values in summary.items():
        print(f"{name:<30} {json.dumps(values)}")
    wall, cpu = (float(np.mean(share)) for share in zip(*shares, strict=True))
    times = {"wall": round(wall, 3), "cpu": round(cpu, 3), "largest_wall": round(max(shares)[0], 3)}
    print("share of the exhaustive time", times)
    mine = losses["ladder"]
    typical: dict[str, Any] = {"median": round(float(np.median([raw for _, raw, _ in mine])), 2)}
    for name, is_scan in (("brain scans", True), ("all but brain scans", False)):
        part = [
            one for one, row in zip(mine, ladders, strict=True) if (row["data"] == "brain_mri") == is_scan
        ]
        typical[f"mean, {name}"] = mean_interval([raw for _, raw, _ in part]).model_dump()
        typical[f"mean, {name}, best chosen on other images"] = mean_interval(
            [o for *_, o in part]
        ).model_dump()
    typical |= over_draws(exhaustive, ladders)
    print("the ladder's loss", typical)
    save("regret", {"summary": summary, "ladder": typical, "share_of_exhaustive_time": times})


def over_draws(exhaustive: list[dict[str, Any]], ladders: list[dict[str, Any]]) -> dict[str, Any]:
    """Points lost against the one strategy that is best in the mean of a data set's draws.

    The best of each draw for itself is mostly luck where test images are few; this one has to be good again
    and again. Strategies that were not run in every draw are left out.
    """
    together: dict[tuple[str, str, int], list[tuple[dict[str, float], float]]] = {}
    for ladder in ladders:
        case = case_of(ladder)
        ways = {row["way"]: row["test"] for row in exhaustive if case_of(row) == case and row["rights"]}
        together.setdefault(case[:3], []).append((ways, ladder["test"]))
    losses = []
    for draws in together.values():
        if len(draws) >= 3:
            common = set.intersection(*(set(ways) for ways, _ in draws))
            best = max(np.mean([ways[way] for ways, _ in draws]) for way in common)
            losses.append(100 * float(best - np.mean([mine for _, mine in draws])))
    return {
        "mean, best strategy over the draws": mean_interval(losses).model_dump(),
        "sets of draws": len(losses),
    }


def strategies() -> None:
    """The accuracy of every kind of strategy, mean over draws, as a table in Markdown."""
    found: dict[tuple[str, int, str], dict[int, dict[str, float]]] = {}
    for row in earlier("regret_exhaustive"):
        if row["test"] is not None:
            network, data, per_class, draw = case_of(row)
            found.setdefault((data, per_class, network), {}).setdefault(draw, {})[row["way"]] = row["test"]
    for (data, per_class, network), draws in sorted(found.items()):
        columns = [
            [ways["probe"] for ways in draws.values()],
            [max(v for way, v in ways.items() if way.startswith("svm @")) for ways in draws.values()],
            [ways["many-stages"] for ways in draws.values()],
            [max(v for way, v in ways.items() if way.startswith("last-blocks")) for ways in draws.values()],
            [ways["full"] for ways in draws.values()],
            [ways["scratch"] for ways in draws.values() if "scratch" in ways],
        ]
        means = " | ".join(f"{100 * np.mean(column):.1f}" if column else "" for column in columns)
        print(f"| {data} | {per_class} | {network.split('_')[0][-2:]} | {len(draws)} | {means} |")


def case_of(row: dict[str, Any]) -> Case:
    return (row["network"], row["data"], row["per_class"], row["draw"])


def summed(values: list[tuple[int, float, float]]) -> dict[str, Any]:
    """Means, with intervals over all cases. The second kind does not reward luck on the same test images."""
    found: dict[str, Any] = {"cases": len(values)}
    for name, place in (("loss", 1), ("loss, best chosen on other images", 2)):
        if any(np.isnan(value[place]) for value in values):
            continue
        found[name] = mean_interval([value[place] for value in values]).model_dump()
        for size in (5, 20, 100):
            of_size = [value[place] for value in values if value[0] == size]
            if of_size:
                found[f"{name}, {size} a class"] = round(float(np.mean(of_size)), 2)
    return found


def lost(rights: str, ways: dict[str, str]) -> tuple[float, float]:
    """Points lost against the best way on all test images; and against the one best on the other half."""
    mine = np.array([digit == "1" for digit in rights])
    others = np.array([[digit == "1" for digit in way] for way in ways.values()])
    even = np.arange(len(mine)) % 2 == 0
    fair = []
    for half in (even, ~even):
        best = others[others[:, half].mean(axis=1).argmax()]
        fair.append(best[~half].mean() - mine[~half].mean())
    return 100 * float(others.mean(axis=1).max() - mine.mean()), 100 * float(np.mean(fair))


if __name__ == "__main__":
    strategies()
    table()
