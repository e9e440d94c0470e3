"""Run the server: its address, its limits, and an orderly shutdown."""

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
from regraft.serving.listening import listening
from regraft.serving.package import open_package, with_rejection
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
    data: str | Path | None = None,
    reject_below: float | None = None,
    reporter: Reporter,
    ready: Callable[[str], None],
) -> None:
    """Answer requests until Ctrl-C or SIGTERM, then finish the requests that are being processed.

    Args:
        run: a folder that `regraft fit` or `Model.save` has written.
        host: the address to listen on; all but the loopback address need a token.
        port: the port; 0 means any free one.
        token: the bearer token that requests need; None if they need none.
        names: additional accepted host names.
        workers: number of decoding processes and of network threads; None means one per core.
        capacity: images that may be processed or wait before requests are refused.
        data: the folder in which the run's images are now; None means that they were not moved.
        reject_below: the largest probability that an image needs for a label; None means as the model says.
        reporter: receives progress before the server starts.
        ready: called with the address when the server accepts requests.

    Raises:
        SettingsError: a public address without a token, a token that is too short, no such address, or
            `reject_below` for a model without classes.
        ServerError: another program uses the port.
        BundleError: the run contains no model.
    """
    if not is_loopback(host) and token is None:
        raise SettingsError(
            f"--host {host} can be reached from other machines, so a token is needed, for example "
            f"--token {secrets.token_urlsafe(24)}"
        )
    if token is not None and len(token) < 16:
        raise SettingsError(f"--token has {len(token)} characters and could be guessed; use at least 16")
    sockets = listening(host, port)  # before the model is prepared, which takes longer
    with contextlib.ExitStack() as opened:
        for one in sockets:
            opened.enter_context(one)
        package = with_rejection(open_package(run, reporter, data), reject_below)
        predictor = Predictor(package, workers=workers, capacity=capacity)
        opened.callback(predictor.close)
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
        _raise_descriptors()
        _Server(config, predictor, ready).run(sockets)


class _Server(uvicorn.Server):
    """A server that reports when it is ready, and tells load balancers when it shuts down."""

    def __init__(self, config: uvicorn.Config, predictor: Predictor, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._predictor, self._ready = predictor, ready

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Start as usual, then report the address."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.servers and self.servers[0].sockets:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain: current requests are answered, and load balancers send new ones elsewhere."""
        self._predictor.is_draining = True
        super().handle_exit(sig, frame)
        self._captured_signals.clear()  # uvicorn would raise them again as failures


def _raise_descriptors() -> None:
    """Raise the limit of open files, because every connection is one."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
