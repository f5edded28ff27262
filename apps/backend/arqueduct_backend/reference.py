"""The API reference: a page that loads nothing from anywhere else, because people paste keys into it."""

from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

__all__ = ["CONTENT_SECURITY_POLICY", "ROUTES"]

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"  # Swagger UI sets styles of elements
)
DAY = {"Cache-Control": "public, max-age=86400"}

# Addresses are relative: a proxy may put something before all of them.
PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Arqueduct API</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="docs/assets/swagger-ui.css">
  </head>
  <body>
    <div id="reference"></div>
    <noscript>This page needs JavaScript. The same in JSON: <a href="openapi.json">openapi.json</a>.</noscript>
    <script src="docs/assets/swagger-ui-bundle.js"></script>
    <script src="docs/assets/start.js"></script>
  </body>
</html>
"""
START = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  validatorUrl: null,
});
"""
STATIC = files("fastapi_offline") / "static"
ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


async def _page(_request: Request) -> Response:
    return HTMLResponse(PAGE)


async def _start(_request: Request) -> Response:
    return Response(START, media_type="text/javascript", headers=DAY)


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in ASSETS:
        raise HTTPException(404)
    return FileResponse(str(STATIC / name), media_type=ASSETS[name], headers=DAY)


async def _home(_request: Request) -> Response:
    return RedirectResponse("docs")


ROUTES: list[BaseRoute] = [
    Route("/", _home, include_in_schema=False),
    Route("/docs", _page, include_in_schema=False),
    Route("/docs/assets/start.js", _start, include_in_schema=False),
    Route("/docs/assets/{name}", _asset, include_in_schema=False),
]
