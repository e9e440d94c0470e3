"""The server's addresses: prediction, health, metrics, the model's card, and a web page."""

from __future__ import annotations

import asyncio
import html
import time
from functools import cache
from importlib import resources
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.exceptions import HTTPException

from regraft.errors import ImageError
from regraft.serving.batching import Overloaded
from regraft.serving.multipart import MAX_FILES, BadRequestError, UploadedFile, files_of
from regraft.serving.predictor import Predictor
from regraft.version import VERSION

_MOST_NEIGHBOURS = 24
_EXPLAINED = 4  # files per request that get a heat map: each takes fifty forward passes
_ASSETS = {"/app.js": "text/javascript", "/style.css": "text/css"}
_FORMS = "multipart/form-data with one part for each file, or the bytes of one image file"


def create_app(predictor: Predictor) -> FastAPI:
    """Create the application; `guards.Guards` is to be wrapped around it."""
    app = FastAPI(
        title="regraft", version=VERSION, docs_url=None, redoc_url=None, openapi_url="/openapi.json"
    )
    meters = _Meters(predictor)

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.post(
        "/predict", summary="What the model says about images", responses=_RESPONSES, openapi_extra=_BODY
    )
    async def predict(
        request: Request,
        top: Annotated[int, Query(ge=1, le=1000, description="labels for each image")] = 5,
        neighbours: Annotated[
            int, Query(ge=0, le=_MOST_NEIGHBOURS, description="similar training images for each image")
        ] = 0,
        explain: Annotated[bool, Query(description="add a heat map (occlusion)")] = False,
    ) -> Response:
        started = time.perf_counter()
        answer = await _predicted(predictor, request, top, neighbours, explain)
        meters.requests.labels(str(answer.status_code)).inc()
        meters.seconds.observe(time.perf_counter() - started)
        return answer

    @app.get("/healthz", summary="Whether the process is alive", response_class=PlainTextResponse)
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get(
        "/readyz", summary="Whether it takes requests", response_class=PlainTextResponse, responses=_DRAINING
    )
    async def readyz() -> PlainTextResponse:
        return PlainTextResponse("draining\n", 503) if predictor.is_draining else PlainTextResponse("ready\n")

    @app.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/model", summary="The model's card")
    async def model() -> JSONResponse:
        return JSONResponse(predictor.package.facts)

    @app.get("/docs", summary="This description of the interface", response_class=HTMLResponse)
    async def docs() -> HTMLResponse:
        return HTMLResponse(_docs(app.openapi()))

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(_asset("index.html"))

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return Response(status_code=204)

    for path, kind in _ASSETS.items():
        app.add_api_route(path, _serve(path[1:], kind), include_in_schema=False)
    return app


_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"description": "the request can't be read"},
    413: {"description": "the request is larger than allowed"},
    415: {"description": f"the content type is not accepted; send {_FORMS}"},
    422: {"description": "the image can't be used, for the reason given"},
    503: {"description": "the queue is full; try again after the time in Retry-After"},
}
_DRAINING: dict[int | str, dict[str, Any]] = {503: {"description": "the server is shutting down"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 1,
                            "maxItems": MAX_FILES,
                        }
                    },
                    "required": ["file"],
                }
            },
        },
    }
}


class _Meters:
    """The counters that `/metrics` shows."""

    def __init__(self, predictor: Predictor) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "regraft_requests", "Requests to /predict by status", ["status"], registry=self.registry
        )
        self.seconds = Histogram("regraft_request_seconds", "Time in /predict, s", registry=self.registry)
        waiting = Gauge("regraft_images_in_work", "Images being processed or waiting", registry=self.registry)
        waiting.set_function(lambda: predictor.waiting)


async def _predicted(
    predictor: Predictor, request: Request, top: int, neighbours: int, explain: bool
) -> Response:
    kind = request.headers.get("content-type", "").lower()
    is_form = kind.startswith("multipart/form-data")
    if not is_form and not kind.startswith(("image/", "application/octet-stream")):
        return _error(415, f"content-type is {kind[:80] or 'missing'}; accepted are {_FORMS}")
    body = await request.body()
    try:
        content_type = request.headers["content-type"]
        files = files_of(body, content_type) if is_form else [UploadedFile("", body)]
    except BadRequestError as error:
        return _error(400, str(error))
    try:
        with predictor.admitted(len(files)):
            loop = asyncio.get_running_loop()
            rows = await asyncio.gather(
                *(
                    loop.run_in_executor(
                        predictor.executor,
                        _judged,
                        predictor,
                        one,
                        top,
                        neighbours,
                        explain and place < _EXPLAINED,
                    )
                    for place, one in enumerate(files)
                )
            )
    except Overloaded:
        return _error(503, "the server has too many requests; try again in a second", {"Retry-After": "1"})
    if len(rows) == 1 and "error" in rows[0]:
        return _error(422, rows[0]["error"])
    return JSONResponse({"predictions": rows})


def _judged(
    predictor: Predictor, file: UploadedFile, top: int, neighbours: int, explain: bool
) -> dict[str, Any]:
    try:
        said = predictor.judge(file.data, top=top, neighbours=neighbours, explain=explain)
    except ImageError as error:
        said = {"error": str(error)}
    return {"name": file.name, **said}


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers)


@cache
def _asset(name: str) -> str:
    return resources.files("regraft.serving").joinpath("page", name).read_text(encoding="utf-8")


def _serve(name: str, kind: str) -> Any:
    async def serve() -> Response:
        return Response(_asset(name), media_type=kind)

    return serve


def _docs(schema: dict[str, Any]) -> str:
    """The description of the interface as a page without scripts or external files."""
    parts = []
    for path, methods in schema["paths"].items():
        for method, what in methods.items():
            parts.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>")
            parts.append(f"<p>{html.escape(what.get('summary', ''))}</p><dl>")
            for one in what.get("parameters", []):
                words = html.escape(one.get("description", one["schema"].get("description", "")))
                default = html.escape(str(one["schema"].get("default", "")))
                parts.append(f"<dt><code>?{html.escape(one['name'])}={default}</code></dt><dd>{words}</dd>")
            parts += [
                f"<dt>{html.escape(code)}</dt><dd>{html.escape(answer.get('description', ''))}</dd>"
                for code, answer in what["responses"].items()
            ]
            parts.append("</dl>")
    return _asset("docs.html").replace("<!-- operations -->", "\n".join(parts))
