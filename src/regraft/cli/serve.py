"""The command `regraft serve`."""

from __future__ import annotations

import os
from pathlib import Path

from regraft.cli.console import make_reporter
from regraft.errors import SettingsError


def serve(
    run: Path,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    name: tuple[str, ...] = (),
    workers: int | None = None,
    queue: int = 32,
) -> int:
    """The model on the web: a page to drop images on, and an interface for programs.

    It listens on this machine alone unless --host says otherwise, and then wants a token.

    ```
    regraft serve runs/photos-mobilenetv1_100-auto
    curl --data-binary @new/1.jpg -H "content-type: image/jpeg" http://127.0.0.1:8000/predict
    curl -F file=@new/1.jpg -F file=@new/2.jpg "http://127.0.0.1:8000/predict?top=3"
    REGRAFT_TOKEN=... regraft serve runs/photos-mobilenetv1_100-auto --host 0.0.0.0 --name photos.example.org
    ```

    Args:
        run: a folder that fit left behind.
        host: the address to listen on; any other than this machine's own needs a token.
        port: 0 takes any free one.
        token: that every request must bear; better given as $REGRAFT_TOKEN, which `ps` does not show.
        name: a further host name by which it may be called; may be repeated.
        workers: decoding processes and threads of the network; without it, one for each core.
        queue: images that may be in work or wait; beyond that requests are told to come back (503).
    """
    try:
        from regraft.serving.server import serve as run_server
    except ImportError as error:
        raise SettingsError(f"serve needs {error.name}: pip install 'regraft[serve]'") from error
    run_server(
        run, host=host, port=port, token=token or os.environ.get("REGRAFT_TOKEN") or None, names=name,
        workers=workers, capacity=queue, reporter=make_reporter(json_lines=False),
        ready=lambda address: print(f"serving on {address}  (Ctrl-C stops)", flush=True),
    )  # fmt: skip
    return 0
