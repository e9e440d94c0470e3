"""The last stage trained from cached activations, against a plain PyTorch loop; and the physical limit.

Random weights serve: the arithmetic is the same. The limit is the rate of a 2,048-square matrix product on
the same
cores, at the precision of the training step; the share is that of all multiply-adds of the tail's forward and
backward pass, optimizer and data included in the time.

Run: python benchmarks/cached_tail.py [ROUNDS] [NETWORK]
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
from regraft.networks.weights import find_weights


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


def main(rounds: int, network: str) -> None:
    data, cut, rows = shared("data/clothing"), "layer3", []
    for seed in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                *regraft(),
                "fit",
                str(data),
                "--network",
                network,
                "--weights",
                "random",
                "--cut",
                cut,
            ]
            command += ["--strategy", "last-blocks", "--epochs", "3", "--validation-share", "0", "--json"]
            out = Path(folder, "run")
            row: dict[str, object] = {"round": seed}
            for precision in ("bf16", "fp32"):
                each = [*command, "--train-precision", precision, "--out", f"{out}-{precision}"]
                timed(each, env=environment(folder))
                lines = Path(f"{out}-{precision}", "metrics.jsonl").read_text().splitlines()
                speeds = [json.loads(line)["images_per_s"] for line in lines]
                row[f"cached_{precision}_images_per_s"] = statistics.median(speeds[1:])
        plain = [sys.executable, "-W", "ignore", str(HERE / "peers" / "torch_plain.py"), str(data / "train")]
        _, output = timed([*plain, network, "7"])
        row["plain_images_per_s"] = json.loads(output.strip().splitlines()[-1])["images_per_s"]
        rates = {"bf16": matrix_rate(torch.bfloat16), "fp32": matrix_rate(torch.float32)}
        flops = tail_flops(network, cut)
        for precision, rate in rates.items():
            row[f"matrix_{precision}_gflops"] = rate / 1e9
            row[f"share_of_limit_{precision}"] = row[f"cached_{precision}_images_per_s"] * flops / rate
        row["ratio_bf16"] = row["cached_bf16_images_per_s"] / row["plain_images_per_s"]
        row["ratio_fp32"] = row["cached_fp32_images_per_s"] / row["plain_images_per_s"]
        rows.append(row)
        print(json.dumps(row), flush=True)
    medians = {key: statistics.median(row[key] for row in rows) for key in rows[0] if key != "round"}
    save(
        f"cached_tail_{network}",
        {"cut": cut, "tail_gflops_an_image": flops / 1e9, "rounds": rows, "medians": medians},
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2] if len(sys.argv) > 2 else "resnet50")
