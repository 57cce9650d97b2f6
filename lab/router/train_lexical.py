"""Train the lexical part: a linear support vector machine per domain on TF-IDF of hashed n-grams. Seconds, and the same bits each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.errors import InputError
from lab.router.lexical import Lexical, tf_idf
from lab.router.ngrams import Counts, count_ngrams


def vocabulary(counts: Counts, fewest: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Ascending keys found in at least ``fewest`` texts (of words, of characters), and their idf: ln((1 + n) / (1 + df)) + 1."""
    keys, found = np.unique(counts.key, return_counts=True)
    kept = found >= np.asarray(fewest)[(keys >> np.uint64(32)).astype(np.int64)]
    return keys[kept], (np.log((1 + counts.texts) / (1 + found[kept])) + 1).astype(np.float32)


def train_lexical(texts: Sequence[str], primary: np.ndarray, also: np.ndarray, cost: float, fewest: tuple[int, int], weight: float) -> Lexical:
    """Fit on n texts, (n,) class ids and (n, N) 0/1 also. ``cost``: C of the squared-hinge SVM (Fan et al. 2008, LIBLINEAR).

    A row is no negative example of a domain it is ``also`` of. ``weight`` is kept for blending. InputError without any n-gram.
    """
    from scipy.sparse import csr_matrix

    from lab.router.coordinate_descent import fit_machines

    counts = count_ngrams(texts)
    keys, idf = vocabulary(counts, fewest)
    if len(keys) == 0:
        raise InputError(f"No n-gram is found in {min(fewest)} or more of the {len(texts)} training prompts.", "Use more rows, or a recipe without a lexical part.")  # fmt: skip
    row, column, value = tf_idf(counts, keys, idf)
    wanted = np.where(primary[:, None] == np.arange(also.shape[1]), 1, np.where(also > 0, 0, -1)).astype(np.int8)
    coefficients, bias = fit_machines(csr_matrix((value, (row, column)), shape=(len(texts), len(keys))), wanted, cost)
    unknown = ~((wanted > 0).any(axis=0) & (wanted < 0).any(axis=0))  # nothing to tell apart
    coefficients[:, unknown], bias[unknown] = 0, -1
    scale = np.maximum(np.abs(coefficients).max(axis=0), 1e-12) / np.float32(127)
    return Lexical(keys, idf, np.rint(coefficients / scale).astype(np.int8), scale, bias, np.asarray([weight, 1, 0], dtype=np.float32))
