"""What server.py sends instead of Streamlit: its scripts and styles, compressed."""

from __future__ import annotations

import asyncio
import gzip

import server

SCRIPT = next(path for path in sorted((server.FILES / "static" / "js").glob("PlotlyChart*.js")))
PATH = f"/static/js/{SCRIPT.name}"


def asked(path: str, accepts: bytes = b"gzip, br") -> tuple[dict[str, str], bytes]:
    """Headers and body of the answer; ``passed on`` if Streamlit was left to answer."""
    sent: list[dict] = []

    async def streamlit(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"passed on"})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"accept-encoding", accepts)]}
    asyncio.run(server.Compressed(streamlit)(scope, None, send))
    return {key.decode(): value.decode() for key, value in sent[0]["headers"]}, sent[1]["body"]


def test_a_script_arrives_compressed_and_unpacks_to_itself():
    headers, body = asked(PATH)
    assert headers["content-encoding"] == "gzip" and "javascript" in headers["content-type"] and "immutable" in headers["cache-control"]
    assert gzip.decompress(body) == SCRIPT.read_bytes()
    assert len(body) < SCRIPT.stat().st_size / 3


def test_a_browser_that_takes_no_gzip_is_answered_by_streamlit():
    assert asked(PATH, b"identity") == ({}, b"passed on")


def test_nothing_but_streamlits_own_scripts_and_styles_is_touched():
    for path in ("/", "/scorecard", "/static/js/none.js", "/static/../index.html", "/static/js/../../../__init__.py", "/media/prompt.js"):
        assert asked(path)[1] == b"passed on", path
