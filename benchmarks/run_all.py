"""Every benchmark, one after the other; raw output goes to benchmarks/results/.

Run: make bench   (several hours on two cores, most of it the peer's)
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    ["demo.py"],
    ["lenet_transfer.py"],
    ["extraction.py"],
    ["extraction.py", "5", "bf16"],
    ["int8_features.py"],
    ["heads.py"],
    ["row_space.py"],
    ["accuracy.py"],
    ["kill9.py"],
    ["shared_cache.py"],
    ["look_alikes.py"],
    ["memory.py"],
    ["fastai_frozen.py"],
    ["depthwise.py"],
    ["cached_tail.py"],
    ["cached_tail.py", "3", "resnet18", "0"],
    ["few_images.py", "strategies", "8"],
    ["few_images.py", "regularisation", "6"],
    ["few_images.py", "augmentation"],
    ["chosen_epoch.py"],
    ["kill9_training.py"],
    ["several_processes.py"],
    ["fine_tuning.py"],
    ["every_network.py"],
    ["first_model.py"],
    ["first_rung.py"],
    ["framing.py"],
    ["richer_inputs.py"],
    ["budget.py"],
    ["predicted_times.py"],
    ["depth_profiles.py"],
    ["similarity_sample.py"],
    ["advice.py"],
    ["solve_times.py"],
    ["profile_agreement.py"],
    ["network_prior.py"],
    ["keeping_rule.py"],
    ["group_intervals.py"],
    ["refit.py"],
    ["head2toe.py"],
    ["calibration.py"],
    ["regret.py", "exhaustive"],
    ["regret.py", "ladder"],
    ["regret_fastai.py", "5", "20"],
    ["regret_table.py"],
    ["serving.py"],
    ["report.py"],
    ["many_classes.py"],
    ["average_precision.py"],
)

if __name__ == "__main__":
    for name, *arguments in SCRIPTS:
        print(f"== {name} {' '.join(arguments)}", flush=True)
        subprocess.run([sys.executable, str(Path(__file__).parent / name), *arguments], check=True)
