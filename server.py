"""Streamlit's server for app.py, with what the browser loads sent compressed: 3 MB instead of 9 at a first visit.

``make run`` starts it by ``streamlit run server.py``. ``streamlit run app.py`` serves the same app, uncompressed.
"""

from __future__ import annotations

import gzip
import mimetypes
from functools import lru_cache
from pathlib import Path

import streamlit as st
from anyio.to_thread import run_sync
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.file_util import get_static_dir

FILES = Path(get_static_dir())
KINDS = (".js", ".css")
YEAR = "public, immutable, max-age=31536000"  # their names hold a hash of their content


@lru_cache(maxsize=512)
def compressed(name: str) -> bytes | None:
    """The gzipped content of one of Streamlit's own scripts or styles; None for any other name. Made once a process."""
    path = FILES / name
    if path.suffix not in KINDS or ".." in name or not path.is_file():
        return None
    return gzip.compress(path.read_bytes(), 6, mtime=0)


class Compressed:
    """ASGI middleware: ``/static/*.js`` and ``.css`` from :func:`compressed`, the rest as Streamlit sends it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content = None
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith("/static/") and _takes_gzip(scope):
            content = await run_sync(compressed, scope["path"].removeprefix("/"))
        if content is None:
            await self.app(scope, receive, send)
            return
        kind = mimetypes.guess_type(scope["path"])[0] or "text/javascript"
        headers = {"Content-Encoding": "gzip", "Cache-Control": YEAR, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
        await Response(content, media_type=kind, headers=headers)(scope, receive, send)


def _takes_gzip(scope: Scope) -> bool:
    return any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])


app = st.App("app.py", middleware=[Middleware(Compressed)])
