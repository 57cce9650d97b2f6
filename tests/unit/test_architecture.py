"""What must hold of the code and of the shipped artefacts, whatever they do."""

import ast
import json
import re
import shutil
from collections import Counter

import pytest

from lab.corpus.rows import corpus_sha256
from lab.corpus.split import split_sha256
from lab.router.router import FAITHFUL, Router


def modules(project, *folders):
    """Path → syntax tree of every Python file under ``folders``."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for folder in folders for path in sorted((project / folder).rglob("*.py"))}


def dotted(path, project) -> str:
    parts = path.relative_to(project).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(nodes) -> set[str]:
    """Absolute names of what these nodes import: 'a.b' for ``import a.b``, 'a.b' and 'a.b.c' for ``from a.b import c``."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}: write it in full"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.fixture(scope="module")
def lab(project):
    found = modules(project, "lab")
    assert len(found) > 30
    return found


def test_nothing_in_lab_imports_streamlit_or_a_page(lab, project):
    for path, tree in lab.items():
        roots = {name.split(".")[0] for name in imported(ast.walk(tree))}
        assert not roots & {"streamlit", "pages", "app"}, (
            f"{path.relative_to(project)} imports {roots & {'streamlit', 'pages', 'app'}}: return a value and let the page draw it"
        )


def test_nothing_loads_or_writes_pickles(project):
    forbidden = {
        r"^\s*(import|from)\s+(pickle|cPickle|dill|cloudpickle|joblib|shelve|marshal)\b": "use safetensors, npz without pickle, or JSON",
        r"\btorch\.(load|save)\(": "use safetensors",
        r"allow_pickle\s*=\s*True|\ballow_pickle\b(?!\s*=\s*False)": "np.load without allow_pickle",
        r"\b(pd|pandas)\.read_pickle|\.to_pickle\(": "use JSONL or parquet",
        r"\byaml\.(load|full_load|unsafe_load)\(": "use yaml.safe_load",
        r"(?<![\w.])(eval|exec)\(": "read data, do not run it",
        r"trust_remote_code\s*=\s*True": "models that bring code are not loaded",
    }
    files = [
        path
        for name in ("lab", "pages", "benchmarks", "app.py", "server.py")
        for path in ([project / name] if name.endswith(".py") else sorted((project / name).rglob("*.py")))
        if path.is_file()
    ]
    assert len(files) > 30
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for pattern, instead in forbidden.items():
                assert not re.search(pattern, line), f"{path.relative_to(project)}:{number}: {line.strip()} → {instead}"
    assert not [path for suffix in ("pkl", "pickle", "joblib", "pt", "pth", "bin") for path in project.glob(f"[!.]*/**/*.{suffix}")], (
        "no pickled artefact in the repository"
    )


def test_imports_of_modules_make_no_cycle(lab, project):
    names = {dotted(path, project) for path in lab}
    graph = {dotted(path, project): sorted(imported(tree.body) & names - {dotted(path, project)}) for path, tree in lab.items()}
    assert sum(map(len, graph.values())) > 50
    state: dict[str, str] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert state.get(name) != "open", (
            f"import cycle {' → '.join((*trail[trail.index(name) :], name))}: move what both need into a lower module that imports neither"
        )
        if name not in state:
            state[name] = "open"
            for below in graph[name]:
                visit(below, (*trail, name))
            state[name] = "done"

    for name in graph:
        visit(name, ())


LAYERS = [
    {"lab.errors", "lab.home"},
    {"lab.files"},
    {"lab.database"},
    {"lab.taxonomy", "lab.text"},
    {"lab.settings", "lab.corpus"},
    {"lab.router", "lab.evaluation", "lab.selector"},
    {"lab.benchmark"},
    {"lab.curation"},
    {"lab.release"},
    {"lab.use_cases"},
    {"lab.workbench"},
    {"lab.doctor"},
    {"lab.cli"},
    {"lab.__main__"},
]
"""Lower may not import higher; what stands together may import each other (as long as no modules make a cycle)."""


def test_layers_go_one_way(lab, project):
    def layer(name: str) -> int | None:
        return next((n for n, group in enumerate(LAYERS) if any(name == one or name.startswith(f"{one}.") for one in group)), None)

    for path, tree in lab.items():
        own = dotted(path, project)
        if own == "lab":
            continue
        assert layer(own) is not None, f"{own} has no layer: give it one in LAYERS"
        for name in sorted(imported(ast.walk(tree))):  # imports inside functions count too
            below = layer(name)
            assert below is None or below <= layer(own), (
                f"{own} imports {name}, which lies above it: pass what it needs as an argument, or move it down"
            )


def test_only_the_command_line_prints_and_only_home_and_settings_read_the_environment(lab, project):
    for path, tree in lab.items():
        own = dotted(path, project)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "input"):
                assert own.startswith("lab.cli"), (
                    f"{path.relative_to(project)}:{node.lineno} prints: return it, or take a callable that is told"
                )
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                assert own in ("lab.home", "lab.settings"), (
                    f"{path.relative_to(project)}:{node.lineno} reads the environment: pass Home or Settings"
                )


def test_no_count_of_domains_or_dimension_is_written_in_the_code(lab, project):
    known = {31, 34, 35, 47, 384, 768}  # 32 is also a block size; the shipped counts come from meta.json
    for path, tree in lab.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and type(node.value) is int:
                assert node.value not in known, f"{path.relative_to(project)}:{node.lineno} says {node.value}: read it from the artefact"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
                end = node.args[min(1, len(node.args) - 1)]
                assert not isinstance(end, ast.Constant) or end.value < 10, (
                    f"{path.relative_to(project)}:{node.lineno} counts to {end.value}: take the length of what is counted"
                )


def test_no_domain_is_named_in_the_code(lab, project, bench):
    special = {name for name in bench.taxonomy.by_name if "-" in name}
    for path, tree in lab.items():
        texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        assert not texts & special, f"{path.relative_to(project)} names {texts & special}: the taxonomy is data, in models/taxonomy.json"


def test_broad_excepts_stand_only_where_they_are_allowed(lab, project):
    for path, tree in lab.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
            raises = any(isinstance(one, ast.Raise) and one.exc is None for one in ast.walk(node))
            assert not broad or raises, f"{path.relative_to(project)}:{node.lineno} swallows every error: name the ones that are expected"


def test_modules_are_small(lab, project):
    sizes = {path.relative_to(project).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in lab}
    too_long = {name: lines for name, lines in sizes.items() if lines > 300}
    assert not too_long, f"{too_long}: over 300 lines, split by what changes together"


def test_functions_fit_a_screen(lab, project):
    long = [
        f"{path.relative_to(project)}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1}"
        for path, tree in lab.items()
        for node in ast.walk(tree)
        if "versions" not in path.parts  # a migration is a list of tables
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > 45
    ]
    assert not long, f"{long}: name the parts"


def test_no_module_shadows_the_standard_library(project):
    import sys

    top = [path.stem for path in project.glob("*.py")]
    assert not set(top) & set(sys.stdlib_module_names)


# the shipped artefacts


@pytest.fixture(params=["lab-47", "v5-32", "v9-47"])
def shipped(request, project):
    folder = project / "models" / "routers" / request.param
    read = {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("meta", "metrics")}
    return folder, read["meta"], read["metrics"]


def test_every_shipped_router_is_tested(project):
    assert {path.name for path in (project / "models" / "routers").iterdir()} == {"lab-47", "v5-32", "v9-47", "categories-14"}


def test_metrics_are_bound_to_the_weights_the_encoder_the_corpus_and_the_split(shipped, bench):
    folder, meta, metrics = shipped
    bound, ours = metrics["bound_to"], meta["router_lab"]
    assert bound["router"] == folder.name
    assert bound["router_sha256"] == bench.router(folder.name).sha256
    assert bound["encoder_id"] == ours["encoder_id"]
    assert bound["precision"] == ours["encoder_precision"] == "fp32"
    assert bound["side"] == "test"
    for key in ("corpus_sha256", "split_sha256", "encoder_id"):
        assert bound["trained_on"][key] == ours[key]
    if len(meta["domains"]) == len(bench.taxonomy.domains):
        rows = bench.corpus.rows
        assert bound["corpus_sha256"] == ours["corpus_sha256"] == corpus_sha256(rows)
        assert bound["split_sha256"] == ours["split_sha256"] == split_sha256(rows, [bench.frozen_split[row.id] for row in rows])
        test = [row for row in rows if bench.frozen_split[row.id] == "test"]
        assert bound["data_sha256"] == corpus_sha256(test)
        assert metrics["n"] == len(test)


def test_v5_was_trained_on_its_part_of_the_shipped_corpus(project, bench):
    from lab.router.dataset import build_dataset

    meta = json.loads((project / "models" / "routers" / "v5-32" / "meta.json").read_text(encoding="utf-8"))
    data = build_dataset(bench.corpus.rows, bench.taxonomy, bench.frozen_split, bench.taxonomy.v5_labels())
    assert meta["domains"] == data.domains
    assert meta["router_lab"]["corpus_sha256"] == data.corpus_sha256
    assert meta["router_lab"]["split_sha256"] == data.split_sha256
    assert meta["router_lab"]["rows"] == dict(Counter(data.splits))
    assert (meta["router_lab"]["left_out"], meta["router_lab"]["renamed"]) == (data.left_out, data.renamed)


def test_the_figures_of_the_card_keys_are_those_of_the_report(shipped):
    _, meta, metrics = shipped
    assert {key: meta[key] for key in ("top1_acc", "top3_acc", "macro_f1", "weighted_f1")} == {
        "top1_acc": metrics["top1"], "top3_acc": metrics["top3"], "macro_f1": metrics["macro_f1"], "weighted_f1": metrics["weighted_f1"]
    }  # fmt: skip
    assert meta["per_label_f1"] == {domain: row["f1"] for domain, row in metrics["per_domain"].items()}
    assert meta["best_val_top1"] == max(epoch["valid_top1"] for epoch in meta["router_lab"]["history"])
    assert metrics["rows_from_training"] == 0
    assert metrics["unknown_labels"] == {}


def test_the_recipe_kept_with_the_weights_is_the_shipped_one(shipped, bench):
    _, meta, _ = shipped
    kept = meta["router_lab"]["recipe"]
    assert kept == bench.recipes[kept["name"]].to_json()
    assert (meta["epochs"], meta["batch_size"], meta["lr"], meta["seed"]) == (
        kept["epochs"],
        kept["batch_size"],
        kept["learning_rate"],
        kept["seed"],
    )


def test_the_served_encoder_was_measured_and_agrees_with_the_reference(shipped):
    """Targets of the project: mean cosine at least 0.99, top-1 agreement through the head at least 98 %."""
    _, _, metrics = shipped
    assert metrics["drift"]["int8"]["cosine_mean"] >= 0.99
    assert metrics["drift"]["int8"]["top1_agreement"] >= 0.98
    assert metrics["drift"]["int8"]["n"] == metrics["n"]


def test_what_serves_is_the_fastest_precision_that_was_measured_to_be_faithful(bench, tmp_path):
    served = {name: bench.precision(bench.router(name)) for name in ("v5-32", "v9-47", "lab-47")}
    assert served == {"v5-32": "int8", "v9-47": "int8", "lab-47": "int8-fast"}
    for name, precision in served.items():
        assert all(bench.router(name).metrics["drift"][precision][key] >= least for key, least in FAITHFUL.items())
    shutil.copytree(bench.home.routers / "lab-47", tmp_path / "copy")
    report = tmp_path / "copy" / "metrics.json"
    kept = bench.router("lab-47").metrics
    report.write_text(json.dumps(kept | {"bound_to": kept["bound_to"] | {"encoder_id": "another@1"}}))
    assert bench.precision(Router.load(tmp_path / "copy")) == "int8", "measured with another encoder"
    for content in ("[]", '{"bound_to": {"router_sha256": "another"}}', json.dumps(bench.router("lab-47").metrics | {"drift": {"int8-fast": 3}})):
        report.write_text(content)
        assert bench.precision(Router.load(tmp_path / "copy")) == "int8", "nothing that can be used was measured"


def test_thresholds_keep_on_the_validation_rows_what_they_promise(shipped):
    _, meta, _ = shipped
    rows = meta["router_lab"]["abstain"]["thresholds"]
    for row in rows:
        assert row["precision"] >= row["target"]
        assert row["n"] == meta["router_lab"]["rows"]["valid"]
        assert row["interval"][0] < row["precision"] <= row["interval"][1]
    limits = [row["threshold"] for row in rows]
    assert limits == sorted(limits)
    assert [row["coverage"] for row in rows] == sorted((row["coverage"] for row in rows), reverse=True)
