"""Exact nearest neighbours of one query at a quarter of the memory traffic: an 8-bit product leaves out what cannot be near."""

from __future__ import annotations

import math

import numpy as np

LEVELS = 63
"""The query goes in 7 bits and the rows in 8: sums of two such products saturate on no processor."""
WORTH_IT = 2_000
"""Rows from which the shortlist is faster than the plain product."""
WIDEST = 16_384
"""Features up to which sums (63·127·D at most) and the largest bonus fit 32 bits together."""
LARGEST_BONUS = 2**29
"""In units; more than twice the largest sum, so that a larger bonus would change no order."""
SMALLEST = 0.01
"""Scales are made for numbers of this size at least, so that a query or rows of zeros leave the unit in reach of 32 bits."""


class Shortlist:
    """Rows are ŷ = step·q with q in −127…127, one step for all, and the largest |y − ŷ| is kept. For a query x ≈ x̂ then
    |⟨x, y⟩ − ⟨x̂, ŷ⟩| ≤ |x − x̂|·|y| + |x̂|·|y − ŷ| (Cauchy–Schwarz), so no row is left out that could be among the nearest.
    """

    def __init__(self, rows: np.ndarray) -> None:
        """``rows`` (N, D) float32, finite. Builds one integer product in ONNX Runtime, one thread (0.1 s)."""
        import onnx
        import onnxruntime

        self._step = max(float(np.abs(rows).max()), SMALLEST) / 127
        whole = np.rint(rows / np.float32(self._step)).astype(np.int8)
        self._error = float(np.linalg.norm(rows - whole * np.float32(self._step), axis=1).max())
        self._length = float(np.linalg.norm(rows, axis=1).max())
        weights = onnx.numpy_helper.from_array(np.ascontiguousarray(whole.T), "rows")
        zero = onnx.numpy_helper.from_array(np.asarray(LEVELS + 1, dtype=np.uint8), "zero")
        node = onnx.helper.make_node("MatMulInteger", ["query", "rows", "zero"], ["product"])
        graph = onnx.helper.make_graph(
            [node], "shortlist", [onnx.helper.make_tensor_value_info("query", onnx.TensorProto.UINT8, [1, rows.shape[1]])],
            [onnx.helper.make_tensor_value_info("product", onnx.TensorProto.INT32, [1, len(rows)])], [weights, zero],
        )  # fmt: skip
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def rows(self, query: np.ndarray, bonus: tuple[np.ndarray, float] | None, k: int) -> np.ndarray:
        """Row numbers, rising, that hold the k with the largest ⟨query, y⟩ + bonus; usually one to three times k.

        query (D,); bonus: the rows that get one, and what it is worth. All sums are whole multiples of one unit.
        """
        scale = max(float(np.abs(query).max()), SMALLEST) / LEVELS
        unit = scale * self._step
        whole = np.rint(query * np.float32(1 / scale))
        near = self._session.run(None, {"query": (whole + np.float32(LEVELS + 1)).astype(np.uint8)[None, :]})[0][0]
        if bonus is not None:
            near[bonus[0]] += np.int32(min(round(bonus[1] / unit), LARGEST_BONUS))
        if k >= len(near):
            return np.arange(len(near))
        whole *= np.float32(scale)
        slack = _norm(query - whole) * self._length + _norm(whole) * self._error + 1e-5
        limit = np.partition(near, len(near) - k)[len(near) - k] - 2 * (slack / unit + 1)
        return np.flatnonzero(near >= np.int32(max(limit, np.iinfo(np.int32).min + 1)))


def _norm(vector: np.ndarray) -> float:
    return math.sqrt(float(vector @ vector))
