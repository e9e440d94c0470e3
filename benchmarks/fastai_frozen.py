"""A probe with a cold cache against fastai's frozen `fit_one_cycle(4)`: whole processes, in turns.

Same machine, weights, images and split (clothing: 1,000 training and 372 test photos). fastai lives in
benchmarks/.venv-fastai, made here. Also times a second `regraft fit` (warm cache).

Run: python benchmarks/fastai_frozen.py [ROUNDS]
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import environment, regraft, save, shared

HERE = Path(__file__).parent
PEER = HERE / ".venv-fastai"


def peer_python() -> Path:
    python = PEER / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEER)], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "fastai", "timm", "safetensors"], check=True)
    return python


def timed(command: list[str], **kwargs: object) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, **kwargs)
    return time.perf_counter() - started, done.stdout


def main(rounds: int) -> None:
    data, weights = shared("data/clothing"), shared("weights")
    rows = []
    for seed in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            env = environment(folder)
            fit = [*regraft(), "fit", str(data), "--network", "mobilenetv1_100", "--weights", str(weights)]
            fit += ["--seed", str(seed), "--json"]
            probe = [*fit, "--strategy", "probe"]
            cold_s, _ = timed([*probe, "--out", f"{folder}/cold"], env=env)
            warm_s, _ = timed([*probe, "--out", f"{folder}/warm"], env=env)
            fast = [*probe, "--precision", "bf16"]
            bf16_s, _ = timed([*fast, "--out", f"{folder}/bf16"], env=environment(f"{folder}/second"))
            many = [*fit, "--strategy", "many-stages", "--out", f"{folder}/many"]
            many_s, _ = timed(many, env=env)
            scores = {
                name: json.loads(Path(folder, name, "scores.json").read_text())["test"]["accuracy"]
                for name in ("cold", "bf16", "many")
            }
        script = str(HERE / "peers" / "fastai_frozen.py")
        peer_s, output = timed(
            [str(peer_python()), "-W", "ignore", script, str(data), str(weights), str(seed)]
        )
        peer = json.loads(output.strip().splitlines()[-1])
        row = {
            "seed": seed,
            "regraft_cold_s": cold_s,
            "regraft_warm_s": warm_s,
            "regraft_bf16_cold_s": bf16_s,
            "regraft_many_stages_warm_s": many_s,
            "fastai_s": peer_s,
            "ratio": peer_s / cold_s,
            "ratio_bf16": peer_s / bf16_s,
            "regraft_accuracy": scores["cold"],
            "regraft_bf16_accuracy": scores["bf16"],
            "regraft_many_stages_accuracy": scores["many"],
            "fastai_accuracy": peer["accuracy"],
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    medians = {key: statistics.median(row[key] for row in rows) for key in rows[0] if key.endswith("_s")}
    medians |= {key: statistics.median(row[key] for row in rows) for key in ("ratio", "ratio_bf16")}
    save("fastai_frozen", {"rounds": rows, "medians": medians})
    shutil.rmtree(HERE / "__pycache__", ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
