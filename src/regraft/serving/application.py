"""The server's addresses: prediction, health, metrics, the model's card, and a web page."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
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
from starlette.requests import ClientDisconnect

from regraft.errors import ImageError
from regraft.serving.multipart import MAX_FILES, BadRequestError, UploadedFile, files_of
from regraft.serving.pages import ASSETS, asset, interface, page
from regraft.serving.predictor import Predictor
from regraft.serving.workers.batching import Overloaded
from regraft.storage.tables import printable
from regraft.version import VERSION

_FORMS = "multipart/form-data with one part for each file, or the bytes of one image file"


def create_app(predictor: Predictor) -> FastAPI:
    """Create the application; `guards.Guards` is to be wrapped around it."""
    app = FastAPI(
        title="regraft", version=VERSION, docs_url=None, redoc_url=None, openapi_url="/openapi.json"
    )
    meters, model = _Meters(predictor), predictor.model
    wished = Depends(model.wishes)

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def misunderstood(_request: Request, error: RequestValidationError) -> JSONResponse:
        return _wrong_parameters(error)

    @app.post(
        "/predict",
        summary="What the model says about images",
        responses={200: _described(model.says, model.answers), **_RESPONSES},
        openapi_extra=_BODY,
    )
    async def predict(request: Request, wishes: Any = wished) -> Response:
        started = time.perf_counter()
        answer = await _predicted(predictor, request, wishes)
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
    async def card() -> JSONResponse:
        return JSONResponse(model.facts)

    @app.get("/docs", summary="This description of the interface", response_class=HTMLResponse)
    async def docs() -> HTMLResponse:
        return HTMLResponse(interface(model.page, app.openapi()))

    @app.get("/", include_in_schema=False)
    async def front() -> HTMLResponse:
        return HTMLResponse(page(model.page))

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return Response(status_code=204)

    for path, kind in ASSETS.items():
        app.add_api_route(path, _serve(path[1:], kind), include_in_schema=False)
    return app


_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"description": "the request can't be read"},
    413: {"description": "the request is larger than allowed"},
    415: {"description": f"the content type is not accepted; send {_FORMS}"},
    422: {"description": "the image or a parameter can't be used, for the reason given"},
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


async def _predicted(predictor: Predictor, request: Request, wishes: Any) -> Response:
    kind = request.headers.get("content-type", "").lower()
    is_form = kind.startswith("multipart/form-data")
    if not is_form and not kind.startswith(("image/", "application/octet-stream")):
        return _error(415, f"content-type is {kind[:80] or 'missing'}; accepted are {_FORMS}")
    try:
        body = await request.body()
    except ClientDisconnect:  # nobody reads this answer, and a log full of tracebacks would help nobody
        return _error(400, "the connection was closed before the request was complete")
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
                    loop.run_in_executor(predictor.executor, _answered, predictor, one, wishes, place)
                    for place, one in enumerate(files)
                )
            )
    except Overloaded:
        return _error(503, "the server has too many requests; try again in a second", {"Retry-After": "1"})
    if len(rows) == 1 and "error" in rows[0]:
        return _error(422, rows[0]["error"])
    return JSONResponse({"predictions": rows})


def _answered(predictor: Predictor, file: UploadedFile, wishes: Any, place: int) -> dict[str, Any]:
    try:
        said = predictor.model.answer(file.data, wishes, place=place)
    except ImageError as error:
        said = {"error": str(error)}
    return {"name": file.name, **said}


def _described(says: str, answers: Any) -> dict[str, Any]:
    return {"description": says} if answers is None else {"description": says, "model": answers}


def _wrong_parameters(error: RequestValidationError) -> JSONResponse:
    """What is wrong with the parameters of an address, in a sentence and as FastAPI lists it."""
    problems = error.errors()
    reasons = [
        f"{one['loc'][-1]} is {printable(str(one['input']))[:80]!r}: {one['msg'][:1].lower()}{one['msg'][1:]}"
        for one in problems
    ]
    return JSONResponse({"error": "; ".join(reasons), "detail": jsonable_encoder(problems)}, 422)


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers)


def _serve(name: str, kind: str) -> Any:
    async def serve() -> Response:
        return Response(asset(name), media_type=kind)

    return serve
