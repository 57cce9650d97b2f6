"""One HTTP try: ask, read the whole answer within its limits, and name what went wrong."""

from __future__ import annotations

import asyncio
import email.utils
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2

from lab.benchmark.addresses import Lookup, Pinned, pin, system_lookup
from lab.benchmark.endpoints import Endpoint
from lab.benchmark.redact import Redactor
from lab.benchmark.rules import Rules

LARGEST_BYTES = 4_000_000
CONNECT_S = 10.0
RETRYABLE = frozenset({"connection", "timeout", "rate limit", "server error", "malformed", "truncated"})
CAUSES = (*sorted(RETRYABLE), "address", "authentication", "bad request", "not found", "redirect", "too large")


@dataclass(frozen=True)
class Reply:
    """``latency_s`` from request to the last byte; ``first_token_s`` None where nothing was streamed; tokens None where not reported."""

    text: str
    latency_s: float
    first_token_s: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    finish_reason: str | None
    streamed: bool


class CallFailed(Exception):
    """A try failed. ``cause`` is one of CAUSES, ``retry_after_s`` what the server asked for."""

    def __init__(self, cause: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{cause}: {message}")
        self.cause, self.message, self.retry_after_s = cause, message, retry_after_s

    @property
    def retryable(self) -> bool:
        return self.cause in RETRYABLE


class Asker:
    """Talks to the addresses of one run; each is looked up and checked once, and again only after its connection failed."""

    def __init__(self, rules: Rules, redact: Redactor, lookup: Lookup = system_lookup) -> None:
        self._rules, self.redact, self._lookup = rules, redact, lookup
        self._pins: dict[str, Pinned] = {}
        self._clients: dict[str, httpx2.AsyncClient] = {}
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Asker:
        return self

    async def __aexit__(self, *problem: object) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def ask(self, endpoint: Endpoint, content: str, mode: str) -> Reply:
        """One try. ``mode``: "plain", "stream" or "stream with usage". Raises CallFailed, or a LabError if the address is refused."""
        pinned = self._pins.get(endpoint.url) or await pin(endpoint.url, self._rules, self._lookup)
        self._pins[endpoint.url] = pinned
        client = self._client(endpoint.url)  # loading certificates is neither the model's latency nor its time-out
        start = time.perf_counter()
        try:
            async with asyncio.timeout(endpoint.timeout_s):
                return await self._send(client, pinned, endpoint, content, mode, start)
        except (TimeoutError, httpx2.TimeoutException):
            raise CallFailed("timeout", f"no whole answer within {endpoint.timeout_s:g} s") from None
        except httpx2.RemoteProtocolError as error:
            raise CallFailed("truncated", self._short(error)) from None
        except (httpx2.TransportError, ssl.SSLError, OSError) as error:
            self._pins.pop(endpoint.url, None)
            raise CallFailed("connection", self._short(error)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, RecursionError) as error:
            raise CallFailed("malformed", self._short(error)) from None

    def _client(self, url: str) -> httpx2.AsyncClient:
        """A client per endpoint: no cookies or connections are shared. Neither proxies nor .netrc of the environment are used."""
        if url not in self._clients:
            self._tls = self._tls or httpx2.create_ssl_context(trust_env=False)
            self._clients[url] = httpx2.AsyncClient(
                verify=self._tls, trust_env=False, follow_redirects=False, timeout=httpx2.Timeout(None, connect=CONNECT_S),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30.0),
            )  # fmt: skip
        return self._clients[url]

    async def _send(self, client, pinned: Pinned, endpoint: Endpoint, content: str, mode: str, start: float) -> Reply:
        streaming = {"stream": True} if mode != "plain" else {}
        if mode == "stream with usage":
            streaming["stream_options"] = {"include_usage": True}
        headers = {"Content-Type": "application/json", "User-Agent": "router-lab"} | endpoint.request_headers() | {"Host": pinned.host, "Accept-Encoding": "identity"}
        request = client.build_request(
            "POST", f"{pinned.url}/chat/completions", headers=headers, content=json.dumps(endpoint.body(content) | streaming).encode(),
            extensions={"sni_hostname": pinned.sni} if pinned.sni else {},
        )  # fmt: skip
        response = await client.send(request, stream=True)
        try:
            if response.status_code != httpx2.codes.OK:
                raise self._refused(response.status_code, response.headers, await _start_of(response))
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise CallFailed("malformed", "the answer is packed though that was not asked for")
            if response.headers.get("Content-Type", "").startswith("text/event-stream"):
                return await self._stream(response, start)
            whole = bytearray()
            async for chunk in response.aiter_raw():
                whole += chunk
                if len(whole) > LARGEST_BYTES:
                    raise CallFailed("too large", f"more than {LARGEST_BYTES:,} bytes")
            latency_s = time.perf_counter() - start
            return self._reply(_object(bytes(whole)), latency_s)
        finally:
            await response.aclose()

    def _reply(self, value: dict[str, Any], latency_s: float) -> Reply:
        self._error_inside(value)
        choice = _first(value.get("choices"))
        message = choice.get("message") if choice else None
        if not isinstance(message, dict):
            raise CallFailed("malformed", "the answer has no choices[0].message")
        return Reply(self.redact(_text(message.get("content"))), latency_s, None, *_usage(value), _reason(choice), False)

    async def _stream(self, response: httpx2.Response, start: float) -> Reply:
        """Server-sent events; a stream that ends without [DONE] and without a finish reason was cut."""
        parts: list[str] = []
        first_s = last_s = reason = None
        usage, size, done = (None, None), 0, False
        async for event in httpx2.EventSource(response, max_event_size=LARGEST_BYTES):
            size += len(event.data)
            if size > LARGEST_BYTES:
                raise CallFailed("too large", f"more than {LARGEST_BYTES:,} characters")
            if event.data.strip() == "[DONE]":
                done = True
                break
            value = _object(event.data)
            self._error_inside(value)
            usage = _usage(value) if isinstance(value.get("usage"), dict) else usage
            choice = _first(value.get("choices"))
            if choice is None:
                continue
            delta = choice.get("delta") if isinstance(choice.get("delta"), dict) else {}
            text = _text(delta.get("content"))
            if first_s is None and (text or delta.get("reasoning_content") or delta.get("reasoning")):
                first_s = time.perf_counter() - start
            parts.append(text)
            if _reason(choice):
                reason, last_s = _reason(choice), time.perf_counter() - start
        if not done and reason is None:
            raise CallFailed("truncated", f"the stream ended after {len(parts)} parts without a finish")
        return Reply(self.redact("".join(parts)), last_s or time.perf_counter() - start, first_s, *usage, reason, True)

    def _error_inside(self, value: dict[str, Any]) -> None:
        if value.get("error"):
            raise CallFailed("server error", self._short(f"an error inside a 200: {_message(value['error'])}"))

    def _refused(self, status: int, headers: Mapping[str, str], body: bytes) -> CallFailed:
        try:
            message = _message(_object(body).get("error") or _object(body))
        except (CallFailed, ValueError, RecursionError):
            message = body.decode("utf-8", "replace")
        causes = {401: "authentication", 403: "authentication", 404: "not found", 408: "timeout", 425: "server error", 429: "rate limit"}
        cause = causes.get(status) or ("redirect" if status < 400 else "bad request" if status < 500 else "server error")
        return CallFailed(cause, self._short(f"HTTP {status}" + (f": {message}" if message.strip() else "")), _wait(headers))

    def _short(self, message: object) -> str:
        """One line without secrets."""
        return " ".join(self.redact(str(message) or type(message).__name__).split())[:300]


async def _start_of(response: httpx2.Response, most: int = 4_000) -> bytes:
    start = b""
    async for chunk in response.aiter_raw():
        start += chunk
        if len(start) >= most:
            break
    return start[:most]


def _object(data: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        raise CallFailed("malformed", "the answer is not JSON") from None
    if not isinstance(value, dict):
        raise CallFailed("malformed", f"the answer is a JSON {type(value).__name__}, no object")
    return value


def _first(choices: object) -> dict[str, Any] | None:
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None


def _text(content: object) -> str:
    """Text of a message; parts are joined; lone surrogates, which UTF-8 cannot hold, become U+FFFD."""
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(content, str) else ""


def _reason(choice: Mapping[str, Any]) -> str | None:
    return str(choice["finish_reason"])[:40] if choice.get("finish_reason") else None


def _usage(value: Mapping[str, Any]) -> tuple[int | None, int | None]:
    usage = value.get("usage") if isinstance(value.get("usage"), dict) else {}
    found = [usage.get(key) for key in ("prompt_tokens", "completion_tokens")]
    return tuple(int(one) if isinstance(one, int | float) and not isinstance(one, bool) and one >= 0 else None for one in found)


def _message(error: object) -> str:
    return str(error.get("message") or error.get("code") or error.get("detail") or "") if isinstance(error, dict) else str(error)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds of Retry-After: a number or a date (RFC 9110 §10.2.3)."""
    value = headers.get("Retry-After", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
