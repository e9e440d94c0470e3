"""The command `regraft serve`."""

from __future__ import annotations

import os
from pathlib import Path

from regraft.cli.terminal.console import make_reporter
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
    data: Path | None = None,
    reject_below: float | None = None,
) -> int:
    """Serve the model over HTTP, with a web page to drop images on and an interface for programs.

    A classifier answers labels with their probabilities; a detector answers boxes, and counts them.
    By default the server accepts connections from this machine only. With another --host it accepts others
    too, and then needs a token.

    ```
    regraft serve runs/photos-mobilenetv1_100-auto
    curl --data-binary @new/1.jpg -H "content-type: image/jpeg" http://127.0.0.1:8000/predict
    curl -F file=@new/1.jpg -F file=@new/2.jpg "http://127.0.0.1:8000/predict?top=3"
    curl -F file=@new/1.jpg -F file=@new/2.jpg "http://127.0.0.1:8000/predict?threshold=0.5"  # a detector
    REGRAFT_TOKEN=... regraft serve runs/photos-mobilenetv1_100-auto --host 0.0.0.0 --name photos.example.org
    ```

    Args:
        run: Folder that fit has written, or a saved model, which has no training images to show.
        host: Address to listen on; any address that other machines can reach needs a token.
        port: Port to listen on; 0 takes any free port.
        token: Token that every request must contain; better set as $REGRAFT_TOKEN, which `ps` does not show.
        name: Further host name of this server; may be given several times.
        workers: Number of decoding processes and of network threads; by default one per core.
        queue: Largest number of images in work or waiting; further requests are refused (503).
        data: Folder in which the run's images are now, if they were moved.
        reject_below: For classes: answer no label for images whose largest probability is lower than this. By
            default as the model was fitted (--reject-below of fit).
    """
    try:
        from regraft.serving.server import serve as run_server
    except ImportError as error:
        raise SettingsError(
            f"regraft serve needs {error.name}, which is not installed: pip install 'regraft[serve]'"
        ) from error
    run_server(
        run, host=host, port=port, token=token or os.environ.get("REGRAFT_TOKEN") or None, names=name,
        workers=workers, capacity=queue, data=data, reject_below=reject_below,
        reporter=make_reporter(json_lines=False),
        ready=lambda address: print(f"serving on {address}  (Ctrl-C stops)", flush=True),
    )  # fmt: skip
    return 0
