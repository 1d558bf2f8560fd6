"""The API as one ASGI application."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route as PathRoute
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from tidings.api import quick_publish
from tidings.api.answers import Response
from tidings.api.authentication import Authenticator, LoopbackOnly
from tidings.api.bodies import JSON, MERGE_PATCH, BodyReader
from tidings.api.dispatch import Operation, Resource
from tidings.api.documentation import Documentation
from tidings.api.problems import MethodNotAllowed, Problems
from tidings.api.publishing import event_reader, events_reader
from tidings.api.quick_publish import QuickPublish
from tidings.api.route import Route
from tidings.api.routes import ROUTES
from tidings.api.services import ApiSettings, Services
from tidings.api.wire.events import PublishEventRequest, PublishEventsRequest
from tidings.core import limits, strict_json
from tidings.core.refusals import NotFound


def create_app(services: Services, routes: Sequence[Route] = ROUTES) -> "App":
    """The application that answers with these services, at all routes or some."""
    settings = services.settings
    problems = Problems(settings.public_url)
    documentation = Documentation(ROUTES, settings)
    authenticator = Authenticator(services.access, is_dev=settings.is_dev)
    paths: dict[str, dict[str, Operation]] = {}
    for route in routes:
        operation = Operation(
            route, services, documentation, authenticator, _reader(route, settings)
        )
        paths.setdefault(route.path, {})[route.method] = operation
    resources = {path: Resource(one, problems) for path, one in paths.items()}
    publishing = paths.get(quick_publish.URL.decode(), {}).get(quick_publish.METHOD.decode())
    quick = None
    if publishing is not None:
        quick = QuickPublish(publishing, problems, is_dev=settings.is_dev)
    router = Starlette(
        routes=[
            PathRoute(path, resource, methods=resource.methods)
            for path, resource in resources.items()
        ],
        exception_handlers={HTTPException: _Astray(problems)},
    )
    # A redirect would be no problem+json, and would be built from the Host header.
    router.router.redirect_slashes = False
    app: ASGIApp = _Entrance(resources, router)
    if settings.is_dev:
        app = LoopbackOnly(app, problems)
    return App(app, quick)


class App:
    """The application; besides, what our own server may call without ASGI."""

    def __init__(self, app: ASGIApp, quick: QuickPublish | None) -> None:
        self._app = app
        self.quick = quick

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Entrance:
    """Takes a request straight to its resource where method and path alone say which that is.

    So a publish is spared the router and its layers, which know nothing that it needs.
    """

    def __init__(self, resources: Mapping[str, Resource], router: ASGIApp) -> None:
        self._fixed = {
            (method, path): resource
            for path, resource in resources.items()
            if "{" not in path
            for method in resource.methods
        }
        self._router = router

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        resource = self._fixed.get((scope.get("method", ""), scope.get("path", "")))
        if resource is None:
            await self._router(scope, receive, send)
            return
        scope["path_params"] = {}
        await resource(scope, receive, send)


def _reader(route: Route, settings: ApiSettings) -> BodyReader[Any] | None:
    """What reads the bodies of a route."""
    if route.body_type is None:
        return None
    if route.body_type is PublishEventRequest:
        return event_reader(settings.event_bytes_max)
    if route.body_type is PublishEventsRequest:
        return events_reader()
    return BodyReader(
        route.body_type,
        bytes_max=limits.REQUEST_BYTES_MAX,
        check=strict_json.check_document,
        media_types=frozenset({JSON, MERGE_PATCH} if route.method == "PATCH" else {JSON}),
    )


class _Astray:
    """Answers requests that no route fits."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    async def __call__(self, _request: Request, fault: Exception) -> Any:
        assert isinstance(fault, HTTPException)
        if fault.status_code != MethodNotAllowed.status:
            return self._problems.answer(NotFound("there is nothing at this path"))
        return self._method_not_allowed(fault)

    def _method_not_allowed(self, fault: HTTPException) -> Response:
        methods = (fault.headers or {}).get("Allow", "").split(", ")
        allowed = ", ".join(sorted(methods))
        return self._problems.fault(
            MethodNotAllowed(
                f"this path knows {allowed}", headers=((b"allow", allowed.encode("ascii")),)
            )
        )
