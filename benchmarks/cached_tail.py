"""The last stage trained from cached activations, against a plain PyTorch loop; and the physical limit.

Random weights serve: the arithmetic is the same. The limit is the rate of a 2,048-square matrix product on
the same cores, at the precision of the training step; the share is that of all multiply-adds of the tail's
forward and backward pass, optimizer and data included in the time.

With a cut of 0 the whole network is trained (`--strategy full`), and compared with the limit alone.

Run: python benchmarks/cached_tail.py [ROUNDS] [NETWORK] [CUT]
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from common import environment, regraft, save, shared
from fastai_frozen import HERE, timed
from torch.utils.flop_counter import FlopCounterMode

from regraft.networks.network import load_network
from regraft.networks.weights.finding import find_weights

KINDS = {"bf16": torch.bfloat16, "fp32": torch.float32}


def matrix_rate(kind: torch.dtype) -> float:
    """Floating-point operations a second of a matrix product."""
    a, b = (torch.randn(2048, 2048).to(kind) for _ in range(2))
    times = []
    for _ in range(12):
        started = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - started)
    return 2 * 2048**3 / statistics.median(times)


def tail_flops(network: str, cut: str) -> float:
    """Of one image's forward and backward pass through the tail."""
    loaded = load_network(find_weights(network, weights="random"))
    prefix, tail = loaded.cut(cut)
    tail.requires_grad_(True)
    side = loaded.input_spec.size_px
    with torch.no_grad():
        given = prefix(torch.zeros(2, 3, side, side))
    with FlopCounterMode(display=False) as counter:
        tail(given).sum().backward()
    return counter.get_total_flops() / 2


def trained(network: str, cut: str, precision: str, folder: str) -> float:
    """Images a second of `regraft fit` in its later epochs."""
    how = ["--strategy", "full"] if cut == "0" else ["--strategy", "last-blocks", "--cut", cut]
    out = Path(folder, f"run-{precision}")
    command = [
        *regraft(),
        "fit",
        str(shared("data/clothing")),
        "--network",
        network,
        "--weights",
        "random",
        *how,
    ]
    command += [
        "--epochs",
        "2" if cut == "0" else "3",
        "--validation-share",
        "0",
        "--train-precision",
        precision,
        "--json",
    ]
    timed([*command, "--out", str(out)], env=environment(folder))
    speeds = [json.loads(line)["images_per_s"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    return statistics.median(speeds[1:])


def measured(network: str, cut: str) -> dict[str, float]:
    """One round: ours at both precisions, the plain loop, and the limit."""
    row: dict[str, float] = {}
    flops = tail_flops(network, cut)
    with tempfile.TemporaryDirectory() as folder:
        for precision, kind in list(KINDS.items())[: 1 if cut == "0" else 2]:
            speed, rate = trained(network, cut, precision, folder), matrix_rate(kind)
            row[f"{precision}_images_per_s"] = speed
            row[f"matrix_{precision}_gflops"] = rate / 1e9
            row[f"share_of_limit_{precision}"] = speed * flops / rate
    if cut != "0":
        script = str(HERE / "peers" / "torch_plain.py")
        plain = [sys.executable, "-W", "ignore", script, str(shared("data/clothing") / "train")]
        _, output = timed([*plain, network, "7"])
        row["plain_images_per_s"] = json.loads(output.strip().splitlines()[-1])["images_per_s"]
        for precision in ("bf16", "fp32"):
            row[f"ratio_{precision}"] = row[f"{precision}_images_per_s"] / row["plain_images_per_s"]
    return row


def main(rounds: int, network: str, cut: str) -> None:
    rows = []
    for _ in range(rounds):
        rows.append(measured(network, cut))
        print(json.dumps(rows[-1]), flush=True)
    medians = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    name = f"cached_tail_{network}" if cut != "0" else f"whole_network_{network}"
    flops = tail_flops(network, cut)
    save(name, {"cut": cut, "gflops_an_image": flops / 1e9, "rounds": rows, "medians": medians})


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int((given[:1] or ["3"])[0]), (given[1:2] or ["resnet50"])[0], (given[2:3] or ["layer3"])[0])
