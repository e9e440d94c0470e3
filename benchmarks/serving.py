"""The server under load: throughput against the bare runtime, latency, overload, a soak, dripping clients.

The load comes from another process on the same machine, whose share of the cores is part of the figures.
Run: python benchmarks/serving.py [SOAK_REQUESTS]
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import save, shared

import regraft
from regraft.prediction.onnx_model import open_session
from regraft.progress import Silent
from regraft.serving.package import open_package
from regraft.serving.workers.decoding import DecodePool
from regraft.serving.workers.inputs import framed

Answer = tuple[float, int, int, list[dict[str, Any]] | None]
"""Seconds, status, number of the image, what was said."""


def client(address: tuple[str, int], files: Sequence[bytes], jobs: Any, answers: list[Answer]) -> None:
    """Takes numbers of images (and when to send them) until there are no more; one connection."""
    link = http.client.HTTPConnection(*address, timeout=30)
    for number, due in jobs:
        if due:
            time.sleep(max(0.0, due - time.perf_counter()))
        started = due or time.perf_counter()
        try:
            headers = {"content-type": "image/jpeg"}
            link.request("POST", "/predict?top=10", files[number % len(files)], headers)
            answer = link.getresponse()
            body = answer.read()
            said = json.loads(body)["predictions"][0]["top"] if answer.status == 200 else None
            answers.append((time.perf_counter() - started, answer.status, number, said))
        except OSError:
            answers.append((time.perf_counter() - started, 0, number, None))
            link = http.client.HTTPConnection(*address, timeout=30)


def offer(
    address: tuple[str, int], files: Sequence[bytes], clients: int, requests: int, rate: float, pipe: Any
) -> None:
    """In a process of its own: so many clients; with a rate, requests are due at random (Poisson) times."""
    random.seed(0)
    when, jobs = time.perf_counter() + 0.2, []
    for number in range(requests):
        when += random.expovariate(rate) if rate else 0.0
        jobs.append((number, when if rate else None))
    shares = [jobs[start::clients] for start in range(clients)]
    answers: list[Answer] = []
    threads = [threading.Thread(target=client, args=(address, files, share, answers)) for share in shares]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipe.send((time.perf_counter() - started, answers))


def load(
    address: tuple[str, int], files: Sequence[bytes], clients: int, requests: int, rate: float = 0.0
) -> tuple[float, list[Answer]]:
    """Wall clock and answers of a load from another process."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=offer, args=(address, files, clients, requests, rate, theirs))
    process.start()
    found: tuple[float, list[Answer]] = ours.recv()
    process.join()
    return found


def quantile(answers: Sequence[Answer], share: float) -> float:
    times = sorted(seconds for seconds, status, _, _ in answers if status == 200)
    return round(1000 * times[min(len(times) - 1, int(share * len(times)))], 1)


def statuses(answers: Sequence[Answer]) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, status, _, _ in answers:
        found[str(status)] = found.get(str(status), 0) + 1
    return found


def bare(package: Any, files: Sequence[bytes]) -> dict[str, float]:
    """Images a second of decoding in as many processes as cores, and of the network alone."""
    cores = os.cpu_count() or 1
    pool = DecodePool(framed, package.input_spec, workers=cores)
    session = open_session(package.graph, threads=cores)
    pixels: list[Any] = [None] * len(files)

    def decode(start: int) -> None:
        for number in range(start, len(files), cores):
            pixels[number] = pool.decode(files[number])["pixels"]

    decode(0)
    started = time.perf_counter()
    threads = [threading.Thread(target=decode, args=(start,)) for start in range(cores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decoding = time.perf_counter() - started
    rates = []
    for _ in range(3):
        started = time.perf_counter()
        for start in range(0, len(pixels), 8):
            session.run(["probabilities"], {"pixels": np.stack(pixels[start : start + 8])})
        rates.append(time.perf_counter() - started)
    pool.close()
    network = statistics.median(rates)
    return {
        "decoding": len(files) / decoding,
        "network": len(files) / network,
        "both": len(files) / (decoding + network),
    }


def memory_mb(process: int) -> float:
    text = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS"))


def drip(address: tuple[str, int], stop: threading.Event) -> None:
    """A client that sends a header now and then, and comes back when it is thrown out."""
    while not stop.is_set():
        try:
            with socket.create_connection(address, timeout=5) as link:
                link.sendall(b"POST /predict HTTP/1.1\r\nhost: localhost\r\n")
                while not stop.wait(1.0):
                    link.sendall(b"x-a: b\r\n")
        except OSError:
            stop.wait(0.2)


if __name__ == "__main__":
    soak = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGRAFT_CACHE"] = str(Path(folder, "cache"))
        run = Path(folder, "run")
        model = regraft.fit(
            shared("data") / "clothing", network="mobilenetv1_100", weights=str(shared("weights")),
            strategy="probe", out=run,
        )  # fmt: skip
        paths = sorted((shared("data") / "clothing" / "test").rglob("*.jpg"))
        files = [path.read_bytes() for path in paths]
        expected = np.stack([row.probabilities for row in model.predict(paths)])
        package = open_package(run, Silent())
        row: dict[str, Any] = {"images": len(files), "bare_images_per_s": bare(package, files)}
        command = [sys.executable, "-m", "regraft", "serve", str(run), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            port = int(server.stdout.readline().split()[2].rstrip("/").rsplit(":", 1)[1])
            address = ("127.0.0.1", port)
            load(address, files, 2, 100)
            wall, answers = load(address, files, 1, 200)
            idle = {"p50_ms": quantile(answers, 0.5), "p99_ms": quantile(answers, 0.99)}
            wall, answers = load(address, files, 8, 1500)
            capacity = len(answers) / wall
            row |= {"idle": idle, "capacity_per_s": capacity, "capacity_statuses": statuses(answers)}
            row["share_of_bare"] = capacity / row["bare_images_per_s"]["both"]
            print(row, flush=True)
            wall, answers = load(address, files, 48, int(0.7 * capacity * 30), 0.7 * capacity)
            row["open_loop_0.7"] = {
                "statuses": statuses(answers),
                "p50_ms": quantile(answers, 0.5),
                "p99_ms": quantile(answers, 0.99),
                "p99_over_idle_p50": quantile(answers, 0.99) / idle["p50_ms"],
            }
            print(row["open_loop_0.7"], flush=True)
            wall, answers = load(address, files, 64, 3000)
            accepted = sum(status == 200 for _, status, _, _ in answers)
            row["64_clients"] = {
                "statuses": statuses(answers),
                "accepted_per_s": accepted / wall,
                "p99_ms": quantile(answers, 0.99),
            }
            print(row["64_clients"], flush=True)
            wall, answers = load(address, files, 1, 300)
            alone = quantile(answers, 0.99)
            stop = threading.Event()
            drippers = [threading.Thread(target=drip, args=(address, stop)) for _ in range(300)]
            for thread in drippers:
                thread.start()
            time.sleep(3)
            wall, answers = load(address, files, 1, 300)
            stop.set()
            for thread in drippers:
                thread.join()
            row["300_dripping"] = {
                "statuses": statuses(answers),
                "healthy_p99_ms": quantile(answers, 0.99),
                "alone_p99_ms": alone,
            }
            print(row["300_dripping"], flush=True)
            points, worst, wrong = [], 0.0, 0
            for start in range(0, soak, 1000):
                wall, answers = load(address, files, 4, min(1000, soak - start))
                points.append((start + len(answers), memory_mb(server.pid)))
                for _, status, number, said in answers:
                    if status != 200 or said is None:
                        wrong += 1
                        continue
                    known = dict(zip(model.labels, expected[number % len(files)], strict=True))
                    worst = max(worst, max(abs(known[one["label"]] - one["probability"]) for one in said))
                print(points[-1], worst, flush=True)
            kept = points[len(points) // 4 :]
            slope = (
                float(np.polyfit([n / 1000 for n, _ in kept], [mb for _, mb in kept], 1)[0])
                if kept[1:]
                else 0.0
            )
            row["soak"] = {
                "requests": soak,
                "not_200": wrong,
                "largest_difference": worst,
                "mb_per_1000_requests": slope,
                "mb_at_the_end": points[-1][1],
                "memory_mb": points,
            }
            server.terminate()
        save("serving", {"rows": [row]})
