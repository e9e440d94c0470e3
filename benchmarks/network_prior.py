"""How well each network at hand transfers: a probe on every data set; the table that orders `--network auto`.

Run: python benchmarks/network_prior.py     (then it writes src/regraft/advice/network_prior.json, too)
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from common import earlier, save, shared
from few_images import drawn

import regraft
from regraft.networks.weights.finding import weights_here

DATA = ("clothing", "trash6", "brain_mri", "omniglot_small1")
TABLE = Path(__file__).parents[1] / "src" / "regraft" / "advice" / "network_prior.json"


def main() -> None:
    rows = earlier("network_prior")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(REGRAFT_CACHE=folder, REGRAFT_WEIGHTS=str(shared("weights")))
        networks = sorted(one.network for one in weights_here() if one.network != "lenet5")
        networks = [name for name in networks if name not in {row["network"] for row in rows}]
        sets = {data: drawn(data, None, 0, Path(folder)) for data in DATA} if networks else {}
        for network in networks:
            for data, images in sets.items():
                model = regraft.fit(images, network=network, strategy="probe")
                assert model.scores is not None
                assert model.scores.validation is not None
                estimate = model.scores.validation.accuracy
                rows.append({"network": network, "data": data, "accuracy": estimate.model_dump()})
                print(json.dumps(rows[-1]), flush=True)
    save("network_prior", {"rows": rows})
    means = {
        network: round(
            100 * sum(r["accuracy"]["value"] for r in rows if r["network"] == network) / len(DATA), 1
        )
        for network in dict.fromkeys(row["network"] for row in rows)
    }
    table = json.loads(TABLE.read_text())
    TABLE.write_text(json.dumps({**table, "data": list(DATA), "networks": means}, indent=1) + "\n")
    print(means)


if __name__ == "__main__":
    sys.exit(main())
