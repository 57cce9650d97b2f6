"""A report as files: the whole as JSON, the domains as a table, each prompt's answer as a line."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from lab.errors import ArtefactError
from lab.evaluation.out_of_fold import Predictions
from lab.files import folder_aside, jsonl_dump, write_bytes, write_json

REPORT, DOMAINS, ANSWERS = "report.json", "per_domain.csv", "predictions.jsonl"


def write_report(folder: Path, report: dict[str, Any], predictions: Predictions) -> None:
    """All three files or none. ArtefactError if ``predictions`` are of other weights than the report, or the folder holds something else."""
    if predictions.router.sha256 != report["bound_to"]["router_sha256"]:
        raise ArtefactError(
            f"The report is of {report['bound_to']['router_sha256'][:12]}, the predictions of {predictions.router.sha256[:12]}.",
            "Evaluate again.",
        )
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - {REPORT, DOMAINS, ANSWERS}):
        raise ArtefactError(f"{folder} exists and is no report.", "Name a new folder, so that nothing is overwritten.")
    with folder_aside(folder) as aside:
        write_json(aside / REPORT, report)
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(["domain", "precision", "recall", "f1", "f1_low", "f1_high", "support", "judged"])
        for domain, row in report["per_domain"].items():
            low, high = row["interval"] or (None, None)
            writer.writerow([domain, row["precision"], row["recall"], row["f1"], low, high, row["support"], row["judged"]])
        write_bytes(aside / DOMAINS, table.getvalue().encode())
        write_bytes(aside / ANSWERS, jsonl_dump(_answers(predictions)))


def _answers(predictions: Predictions):
    for n, row in enumerate(predictions.rows):
        yield {
            "text_id": row.id, "prompt": row.text, "domain": row.domain, "predicted": predictions.domains[int(predictions.predicted[n])],
            "probability": round(float(predictions.probability[n]), 6), "right": bool(predictions.right[n]) if predictions.known[n] else None,
        }  # fmt: skip
