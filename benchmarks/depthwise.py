"""Strided depthwise convolutions on the CPU, forward and backward: torch's own against ours, in turns.

Run: python benchmarks/depthwise.py
"""

from __future__ import annotations

import statistics
import time

import timm
import torch
from common import save
from torch import nn

from regraft.networks.architectures.strided_depthwise import StridedDepthwise, quicken

LAYERS = ((64, 112), (128, 56), (256, 28), (512, 14))  # of MobileNetV1 at 224 px: channels, side
BATCH = 16


def milliseconds(step: object, rounds: int = 9) -> float:
    assert callable(step)
    step()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)


def layer(channels: int, side: int, kind: torch.dtype, *, is_quick: bool) -> float:
    module = nn.Conv2d(channels, channels, 3, stride=2, padding=1, groups=channels, bias=False)
    module.to(kind).to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, channels, side, side).to(kind).contiguous(memory_format=torch.channels_last)
    images.requires_grad_()
    gradient = torch.ones_like(module(images))

    def ours() -> None:
        padded = nn.functional.pad(images, (1, 1, 1, 1))
        StridedDepthwise.apply(padded, module.weight, 2).backward(gradient)

    return milliseconds(ours if is_quick else lambda: module(images).backward(gradient))


def network_speed(name: str, *, is_quick: bool) -> float:
    """Images a second of whole training steps in bf16, BatchNorm frozen."""
    network = timm.create_model(name, num_classes=10).eval().to(memory_format=torch.channels_last)
    if is_quick:
        quicken(network)
    images = torch.randn(32, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(32, dtype=torch.long)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return 32e3 / milliseconds(step, rounds=5)


def main() -> None:
    layers = []
    for channels, side in LAYERS:
        for kind in (torch.float32, torch.bfloat16):
            times = [layer(channels, side, kind, is_quick=quick) for quick in (False, True)]
            row = {
                "channels": channels,
                "side": side,
                "dtype": str(kind)[6:],
                "torch_ms": times[0],
                "ours_ms": times[1],
            }
            layers.append(row)
            print(row, flush=True)
    networks = []
    for name in ("mobilenetv1_100", "mobilenetv2_100", "efficientnet_b0"):
        speeds = [network_speed(name, is_quick=quick) for quick in (False, True)]
        networks.append({"network": name, "torch_images_per_s": speeds[0], "ours_images_per_s": speeds[1]})
        print(networks[-1], flush=True)
    save("depthwise", {"batch": BATCH, "layers": layers, "networks": networks})


if __name__ == "__main__":
    main()
