"""Running the server: its address, its limits, and an orderly end."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from regraft.errors import SettingsError
from regraft.progress import Reporter
from regraft.serving.application import create_app
from regraft.serving.guards import Guards, is_loopback
from regraft.serving.package import open_package
from regraft.serving.predictor import QUEUE, Predictor
from regraft.serving.protocol import GuardedProtocol

_CONNECTIONS = 600
_DRAIN_S = 10


def serve(
    run: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    names: tuple[str, ...] = (),
    workers: int | None = None,
    capacity: int = QUEUE,
    reporter: Reporter,
    ready: Callable[[str], None],
) -> None:
    """Answer requests until it is told to stop (Ctrl-C, SIGTERM); then finish what is in work.

    Args:
        run: a folder that `regraft fit` left behind.
        host: the address to listen on; any but this machine's own needs a token.
        port: 0 takes any free one.
        token: that requests must bear.
        names: further host names by which it may be called.
        workers: decoding processes and network threads; None means one for each core.
        capacity: images that may be in work or wait before requests are refused.
        reporter: is told what happens before.
        ready: is called with the address when requests are taken.

    Raises:
        SettingsError: a public address without a token, or a short one.
        BundleError: the run holds no model.
    """
    if not is_loopback(host) and token is None:
        raise SettingsError(
            f"--host {host} can be reached from other machines: a token is needed, for example "
            f"--token {secrets.token_urlsafe(24)}"
        )
    if token is not None and len(token) < 16:
        raise SettingsError(f"a token of {len(token)} characters can be guessed; use at least 16")
    package = open_package(run, reporter)
    predictor = Predictor(package, workers=workers, capacity=capacity)
    allowed = ("localhost", "127.0.0.1", "::1", host, *names)
    app = Guards(create_app(predictor), hosts=allowed, token=token)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=GuardedProtocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=10,
        timeout_graceful_shutdown=_DRAIN_S,
        limit_concurrency=_CONNECTIONS,
        backlog=512,
    )
    try:
        _raise_descriptors()
        _Server(config, predictor, ready).run()
    finally:
        predictor.close()


class _Server(uvicorn.Server):
    """Says when it is ready, and says no to load balancers while it ends."""

    def __init__(self, config: uvicorn.Config, predictor: Predictor, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._predictor, self._ready = predictor, ready

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """As ever, then tell the address."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.servers and self.servers[0].sockets:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain: what is in work is answered, new requests go elsewhere."""
        self._predictor.is_draining = True
        super().handle_exit(sig, frame)
        self._captured_signals.clear()  # it would raise them again: an orderly end is no failure


def _raise_descriptors() -> None:
    """As many open files as this process may have: every connection is one."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
