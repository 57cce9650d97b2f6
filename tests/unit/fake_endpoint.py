"""A real HTTP server that speaks the chat completions protocol, well and badly. Start it here, or as a process: ``python fake_endpoint.py PORT``.

A model's name says what it does: "adder" and "speller" have skills, "even" has some of both; the others each have one fault.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
import threading
import time
from collections import Counter, defaultdict

SKILL = {"adder": {"math": 0.95, "other": 0.1}, "speller": {"math": 0.1, "other": 0.95}, "even": {"math": 0.6, "other": 0.6}}
LATENCY_S = {"adder": 0.004, "speller": 0.002, "slow": 0.3}
ECHOED = "sk-this-must-never-be-seen-0123456789"


def truth(text: str) -> tuple[str, str]:
    """(category, right answer) of a question of these tests."""
    added = re.search(r"(\d+) \+ (\d+)", text)
    if added:
        return "math", str(int(added[1]) + int(added[2]))
    spelt = re.search(r"Spell (\w+) backwards", text)
    return "other", spelt[1][::-1] if spelt else "OK"


def queries(n: int, start: int = 0) -> list[dict]:
    """Half sums, half words, by turns."""
    rows = []
    for number in range(start, start + n):
        text = f"What is {number} + {number % 7}?" if number % 2 else f"Spell word{number}x backwards"
        category, answer = truth(text)
        rows.append({"query": text, "category": category, "ground_truth": answer, "metric": "GSM8K" if category == "math" else "cem"})
    return rows


class FakeEndpoint:
    """``with FakeEndpoint() as server: server.url``. ``asked[(model, text)]`` counts requests; ``most_at_once`` is the peak per model."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.asked: Counter[tuple[str, str]] = Counter()
        self.tries: Counter[str] = Counter()
        self.at_once: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.bodies: list[dict] = []
        self.latency_s = dict(LATENCY_S)
        self.keep_bodies = True
        self.together = [0, 0]
        """Requests in work and their peak; two servers may share one list."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FakeEndpoint:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *problem) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)

        async def main() -> None:
            self._stop = asyncio.Event()
            server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, limit=2**22)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await self._stop.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        self._loop.run_until_complete(main())

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:]) if key}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self._answer(lines[0].split(" ")[1], headers, body, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, headers: dict, body: bytes, writer) -> bool:
        """False closes the connection."""
        if path == "/stats":
            stats = {"asked": sum(self.asked.values()), "distinct": len(self.asked), "most_at_once": dict(self.most_at_once)}
            return await self._send(writer, 200, json.dumps(stats).encode())
        asked = json.loads(body)
        model, text = asked["model"], asked["messages"][0]["content"]
        if self.keep_bodies:
            self.bodies.append(asked | {"headers": headers, "path": path})
        if text != "Reply with: OK":
            self.asked[model, text] += 1
            self.times[model].append(time.monotonic())
        self.at_once[model] += 1
        self.most_at_once[model] = max(self.most_at_once[model], self.at_once[model])
        self.together[0] += 1
        self.together[1] = max(self.together)
        try:
            await asyncio.sleep(self.latency_s.get(model, 0))
            fault = getattr(self, f"_{model.replace('-', '_')}", None)
            if fault is not None and (kept := await fault(asked, text, headers, writer)) is not None:
                return kept
            return await self._good(asked, text, writer)
        finally:
            self.at_once[model] -= 1
            self.together[0] -= 1

    async def _send(self, writer, status: int, body: bytes, kind: str = "application/json", more: str = "") -> bool:
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)
        await writer.drain()
        return True

    def said(self, model: str, text: str) -> str:
        category, right = truth(text)
        luck = int(hashlib.sha256(f"{model}{text}".encode()).hexdigest()[:8], 16) / 2**32
        if luck < SKILL.get(model, {"math": 1.0, "other": 1.0})[category]:
            return f"The answer is {right}."
        return "The answer is 999999." if category == "math" else "I cannot spell."

    async def _good(self, asked: dict, text: str, writer) -> bool:
        said = self.said(asked["model"], text)
        usage = {"prompt_tokens": len(text.split()), "completion_tokens": len(said.split())}
        if not asked.get("stream"):
            choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
            return await self._send(writer, 200, json.dumps({"choices": [choice], "usage": usage}).encode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        parts = [{"choices": [{"delta": {"content": part + " "}}]} for part in said.split(" ")]
        parts.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        if (asked.get("stream_options") or {}).get("include_usage"):
            parts.append({"choices": [], "usage": usage})
        self._chunk(writer, "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    @staticmethod
    def _chunk(writer, text: str) -> None:
        data = text.encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    # one fault each

    def _nth(self, model: str, text: str) -> int:
        return self.asked[model, text]

    async def _flaky(self, asked, text, headers, writer):
        if self._nth("flaky", text) == 1:
            return await self._send(writer, 500, b'{"error": {"message": "try again"}}')

    async def _limited(self, asked, text, headers, writer):
        if self._nth("limited", text) == 1 and len(self.times["limited"]) % 4 == 0:
            return await self._send(writer, 429, b'{"error": {"message": "slow down"}}', more="Retry-After: 0.3\r\n")

    async def _dead(self, asked, text, headers, writer):
        if text != "Reply with: OK":
            return await self._send(writer, 503, b"down")

    async def _ill(self, asked, text, headers, writer):
        return await self._send(writer, 401, json.dumps({"error": {"message": f"bad key {headers.get('authorization')}"}}).encode())

    async def _broken_json(self, asked, text, headers, writer):
        if self._nth("broken-json", text) == 1:
            return await self._send(writer, 200, b'{"choices": [{"message"')

    async def _shapeless(self, asked, text, headers, writer):
        if text != "Reply with: OK":
            return await self._send(writer, 200, b'{"choices": []}')

    async def _cut_stream(self, asked, text, headers, writer):
        if self._nth("cut-stream", text) == 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            self._chunk(writer, 'data: {"choices": [{"delta": {"content": "The ans"}}]}\n\n')
            await writer.drain()
            return False

    async def _cut_body(self, asked, text, headers, writer):
        if self._nth("cut-body", text) == 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"choices\"")
            await writer.drain()
            return False

    async def _drip(self, asked, text, headers, writer):
        if text == "Reply with: OK":
            return None
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            self._chunk(writer, 'data: {"choices": [{"delta": {"content": "a"}}]}\n\n')
            await writer.drain()
            await asyncio.sleep(0.05)
        return False

    async def _hang(self, asked, text, headers, writer):
        if text != "Reply with: OK":
            await asyncio.sleep(60)

    async def _huge(self, asked, text, headers, writer):
        if text != "Reply with: OK":
            return await self._send(writer, 200, b'{"choices": "' + b"x" * 5_000_000 + b'"}')

    async def _moved(self, asked, text, headers, writer):
        if text != "Reply with: OK":
            return await self._send(writer, 307, b"", more="Location: http://127.0.0.1:1/v1\r\n")

    async def _echo(self, asked, text, headers, writer):
        """An endpoint that gives the key away."""
        said = f"Error: {headers.get('authorization')} and {json.dumps(headers)}"
        return await self._send(writer, 200, json.dumps({"choices": [{"message": {"content": said}, "finish_reason": "stop"}]}).encode())

    async def _plain(self, asked, text, headers, writer):
        if asked.get("stream"):
            return await self._send(writer, 400, b'{"error": {"message": "stream is not supported"}}')

    async def _no_usage(self, asked, text, headers, writer):
        said = self.said("no-usage", text)
        return await self._send(writer, 200, json.dumps({"choices": [{"message": {"content": said}, "finish_reason": "stop"}]}).encode())

    async def _error_inside(self, asked, text, headers, writer):
        if text != "Reply with: OK" and self._nth("error-inside", text) == 1:
            return await self._send(writer, 200, b'{"error": {"message": "overloaded"}}')


if __name__ == "__main__":
    server = FakeEndpoint(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    server.keep_bodies = False
    with server:
        print(server.port, flush=True)
        threading.Event().wait()
