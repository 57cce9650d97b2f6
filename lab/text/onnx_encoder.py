"""The serving path: tokenizers + ONNX Runtime, no torch. About a second from a cold process to the first vector."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

from lab.errors import EncoderError
from lab.text.prepare import prepare

REPORT_S = 0.2
CALLERS = max(1, min(4, os.cpu_count() or 1))


class OnnxEncoder:
    """One exported encoder at one precision. Thread-safe; sessions open on first use."""

    def __init__(self, folder: Path, manifest: dict, precision: str) -> None:
        from tokenizers import Tokenizer

        if precision not in manifest["precisions"]:
            reason = manifest.get("refused", {}).get(precision, f"exported are {', '.join(manifest['precisions'])}")
            raise EncoderError(f"{manifest['name']} has no usable {precision} export: {reason}.", "Use precision fp32 or torch.")
        self.name, self.id, self.dim = str(manifest["name"]), str(manifest["id"]), int(manifest["dim"])
        self.precision = precision
        self._graph = str(folder / manifest["precisions"][precision]["file"])
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:
            if type(error) is not Exception:  # tokenizers raises that very class
                raise
            raise _damaged(folder / "tokenizer.json", error) from None
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(int(manifest["max_tokens"]))
        self._sessions: dict[int, object] = {}
        self._lock = threading.Lock()

    def _session(self, threads: int):
        with self._lock:
            if threads not in self._sessions:
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = threads
                options.inter_op_num_threads = 1
                options.log_severity_level = 3
                options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning starves the other core's work
                try:
                    self._sessions[threads] = onnxruntime.InferenceSession(self._graph, options, providers=["CPUExecutionProvider"])
                except Exception as error:
                    if "onnxruntime" not in type(error).__module__:  # its errors share no class of their own
                        raise
                    raise _damaged(Path(self._graph), error) from None
            return self._sessions[threads]

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """(n, dim) float32 of unit length. One text uses two threads; several use one session from CALLERS threads, one prompt a call: a
        prompt's vector depends on the prompt alone. (``int8-fast`` in batches of 512 tokens is 16 % faster, and has one scale for a batch.)

        ``progress`` is called on the caller's own thread (a page needs that) and may raise to cancel.
        """
        if len(texts) == 1:
            out = _run(self._session(2), self._tokenizer.encode(prepare(texts[0])).ids)[None, :]
            if progress:
                progress(1, 1)
            return out
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch([prepare(text) for text in texts])]
        out = np.empty((len(tokens), self.dim), dtype=np.float32)
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        session, finished, stop = self._session(1), [0] * CALLERS, threading.Event()

        def work(caller: int) -> None:
            for row in order[caller::CALLERS]:
                if stop.is_set():
                    return
                out[row] = _run(session, tokens[row])
                finished[caller] += 1

        with ThreadPoolExecutor(CALLERS) as pool:
            futures = [pool.submit(work, caller) for caller in range(CALLERS)]
            try:
                while wait(futures, timeout=REPORT_S).not_done:
                    if progress:
                        progress(sum(finished), len(tokens))
            finally:
                stop.set()  # a progress that raises cancels
        for future in futures:
            future.result()
        if progress and tokens:
            progress(len(tokens), len(tokens))
        return out


def _damaged(path: Path, error: Exception) -> EncoderError:
    reason = (str(error).splitlines() or ["no reason given"])[0][:200]
    return EncoderError(f"{path} cannot be loaded: {reason}.", "Delete it, then: python -m lab prepare")


def _run(session, tokens: list[int]) -> np.ndarray:
    ids = np.asarray([tokens], dtype=np.int64)
    return session.run(None, {one.name: ids if one.name == "input_ids" else np.ones_like(ids) for one in session.get_inputs()})[0][0]
