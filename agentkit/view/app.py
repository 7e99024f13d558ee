"""The ASGI application of `agentkit view` and its routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from agentkit.errors import AgentKitError
from agentkit.view.door import ViewDoor
from agentkit.view.lessons import LearningQueue
from agentkit.view.pages import evolutions, graph, knowledge, learnt, memories, reviewing, runs
from agentkit.view.site import Site, ViewOptions

if TYPE_CHECKING:
    from agentkit.settings import Settings
    from agentkit.store import Store

_HERE = Path(__file__).parent
_ASSETS = {"view.css": "text/css", "view.js": "text/javascript"}


def create_view(store: Store, settings: Settings, options: ViewOptions | None = None) -> Starlette:
    """An ASGI application that shows a store; it answers only under a loopback host name."""
    options = options or ViewOptions()
    site = Site(store, settings, options)
    routes = [Route("/assets/{name}", _asset), Route("/", lambda request: RedirectResponse("/runs"))]
    for pages in (runs, learnt, memories, evolutions, knowledge, graph):
        routes += pages.routes(site)
    lessons = LearningQueue(store, settings)
    routes += reviewing.routes(site, lessons)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(lessons.learn)

    handlers: dict[Any, Any] = {
        AgentKitError: lambda request, error: site.page("message", "Not possible", 400, text=str(error)),
        HTTPException: lambda request, error: site.page(
            "message", "Not here", error.status_code, text=str(error.detail)
        ),
    }
    doors = [Middleware(ViewDoor, token=options.token, edit=options.edit)]
    return Starlette(routes=routes, middleware=doors, exception_handlers=handlers, lifespan=life)


def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _ASSETS:
        raise HTTPException(404, "no such file")
    return FileResponse(_HERE / "assets" / name, media_type=_ASSETS[name])
