"""Records: every figure computed, every contradiction named, nothing written that is not so."""

import json

import pytest

from lab.errors import ArtefactError, InputError, SettingsError
from lab.release.cards import thousands
from lab.release.claims import against, claims_of, within
from lab.release.facts import count_parameters, facts_of
from lab.release.gateway import export, import_folder
from lab.release.lineage import Deployment, lineage
from lab.release.provider import Provider, read_provider
from lab.release.records import CARD, CORPUS_RECORD, LINEAGE, NAMES, TRAINING, diff_records, export_records, records
from lab.release.snapshot import take_snapshot
from lab.release.versions import publish
from tests.unit.release_case import RECIPE, build, dataset, trained

PROVIDER = Provider(provider="Ada & Co <b>", license_spdx="MIT", power_w=60.0, intended_use="Routing | only.", out_of_scope=("triage",))

OLD_CARD = """Auto-router
"MiniLM 384d · 47 domains · macro-F1 0.889 · router v9"
| Adapter type | Custom 2-layer MLP head (~85 k parameters) |
- Head: 2-layer MLP Linear(384→256) -> GELU -> Dropout(0.1) -> Linear(256→32)
- Top-1 accuracy: 87.6 %
- Validation set: 1 978 prompts across 32 domains.
{"weights_file": {"size_bytes": 432000, "sha256_expected": null},
 "architecture": {"num_domains": 34, "total_parameters": 22700000},
 "training_method": {"metrics_final": {"top1_accuracy": 0.652}},
 "intended_use": "one of 34 technical domains"}
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    version = publish(folder / "versions", trained(folder), about={"training_s": 120}, extra=take_snapshot(dataset(), "event 9").files())
    return facts_of(version, encoder_parameters=1_000)


def test_figures_are_computed_from_the_files(facts):
    figures = facts.figures
    assert figures["head_parameters"] == 32 * 16 + 16 + 16 * 3 + 3 and figures["total_parameters"] == figures["head_parameters"] + 1_000
    assert (figures["num_domains"], figures["embedding_dim"], figures["hidden_dim"], figures["corpus_rows"]) == (3, 32, 16, 240)
    assert figures["size_bytes"] == (facts.version.path / "router.safetensors").stat().st_size
    assert figures["top1"] == facts.metrics["top1"] and figures["evaluated_rows"] == facts.metrics["n"]


def test_the_card_has_the_hubs_metadata_and_the_computed_figures(facts):
    from huggingface_hub import ModelCard

    card = ModelCard(records(facts, PROVIDER)[CARD])
    assert card.data.license == "mit" and card.data.pipeline_tag == "text-classification" and card.data.language == ["en"]
    assert {(one.metric_name, one.metric_value) for one in card.data.eval_results} >= {("Top-1 accuracy", round(facts.metrics["top1"], 4))}
    assert f"{facts.figures['head_parameters']} parameters" in card.text and facts.version.files["router.safetensors"][0] in card.text
    assert "| alpha, beta, gamma | made/up | MIT | 240 |" in card.text
    assert "Ada & Co \\<b\\>" in card.text and "Routing \\| only." in card.text and "| Contact | not stated by the provider |" in card.text


def test_the_lineage_record_has_every_field_and_invents_nothing(facts):
    found = lineage(facts, PROVIDER, Deployment("2026-05-05T13:55:00Z", "f" * 64))
    assert found["weights_file"] == {"filename": "router.safetensors", "size_bytes": facts.weights[1], "sha256_expected": facts.weights[0]}
    assert found["source"]["head"]["previous_checkpoint"] == "f" * 64 and found["architecture"]["num_domains"] == 3
    method = found["training_method"]
    assert (method["wall_clock_minutes_estimate"], method["energy_estimate_wh"], method["metrics_final"]["validation_set_size"]) == (
        2.0,
        2.0,
        facts.metrics["n"],
    )
    assert found["deployed_on_host"] is None and found["training_data"]["language_mix"] == {"en": 240}
    assert set(found) == {
        "deployment_id", "deployed_at_utc", "deployed_on_host", "served_via", "source", "weights_file", "architecture", "training_data", "training_method",
        "modifications_post_download", "intended_use", "out_of_scope",
    }  # fmt: skip


def test_all_records_are_written_together_and_agree_with_the_version(facts, tmp_path):
    paths = export_records(facts, PROVIDER, tmp_path / "out", Deployment("2026-05-05T13:55:00Z"))
    assert {path.name for path in paths} == set(NAMES) == {path.name for path in (tmp_path / "out").iterdir()}
    documents = {path.name: path.read_text() for path in paths}
    assert diff_records(documents, facts) == []
    record = json.loads(documents[CORPUS_RECORD])
    assert (
        record["grand_total"] == 240 == sum(one["rows_used"] for one in record["sources"])
        and record["corpus_sha256"] == dataset().corpus_sha256
    )
    assert json.loads(documents[LINEAGE])["training_method"]["epochs"] == 6 and "240 prompts in 3 domains" in documents[TRAINING]


def test_an_edited_record_with_another_figure_is_refused_and_nothing_is_written(facts, tmp_path):
    card = records(facts, PROVIDER)[CARD]
    good = card + "\nWritten by hand: 3 domains.\n"
    assert export_records(facts, PROVIDER, tmp_path / "good", edited={CARD: good})
    for added, said in (
        ("It knows 34 domains.", "34 domains"),
        ("Top-1 accuracy: 12.3 %", "0.123"),
        ("an MLP head of ~85 k parameters", "85 000"),
    ):
        with pytest.raises(ArtefactError, match=said):
            export_records(facts, PROVIDER, tmp_path / "bad", edited={CARD: f"{card}\n{added}\n"})
    with pytest.raises(ArtefactError, match="34 domains"):
        export_records(facts, Provider(intended_use="Routes over 34 domains."), tmp_path / "bad")
    with pytest.raises(InputError, match="no record"):
        export_records(facts, PROVIDER, tmp_path / "bad", edited={"NOTES.md": ""})
    assert not (tmp_path / "bad").exists()


def test_a_meta_that_states_other_figures_refuses_the_export(tmp_path):
    source = trained(tmp_path)
    meta = json.loads((source / "meta.json").read_text())
    (source / "meta.json").write_text(json.dumps(meta | {"top1_acc": meta["top1_acc"] / 2}))
    facts = facts_of(publish(tmp_path / "versions", source, about={}))
    with pytest.raises(ArtefactError, match=r"meta\.json: top1_acc"):
        export_records(facts, PROVIDER, tmp_path / "out")


def test_a_version_without_a_corpus_says_so_and_has_no_corpus_record(tmp_path):
    version = publish(tmp_path / "versions", trained(tmp_path), about={})
    foreign = export(version, tmp_path / "foreign")
    facts = facts_of(import_folder(tmp_path / "versions", foreign))
    found = records(facts, PROVIDER)
    assert CORPUS_RECORD not in found and "not known" in found[TRAINING] and json.loads(found[LINEAGE])["training_data"]["source"] is None
    assert "Nothing was measured" in found[CARD]


def test_a_hybrid_states_both_parts_and_what_the_head_alone_reaches(tmp_path):
    source = build(tmp_path, recipe=RECIPE.with_changes(lexical_weight=1.0))
    version = publish(tmp_path / "versions", source, about={}, extra=take_snapshot(dataset(), "r").files())
    facts = facts_of(version, encoder_parameters=1_000)
    made = records(facts, PROVIDER)
    alone, record = facts.head_alone, json.loads(made[LINEAGE])
    assert f"head alone (what a plain gateway gets) | {100 * alone['top1']:.1f} %" in made[CARD]
    assert f"and a lexical part on n-grams ({thousands(facts.lexical_parameters)} weights)" in made[CARD]
    assert record["lexical_file"]["sha256_expected"] == version.files["lexical.safetensors"][0]
    assert record["architecture"]["lexical_parameters"] == facts.lexical_parameters > 0
    assert record["training_method"]["metrics_final"]["head_alone"]["top1_accuracy"] == alone["top1"]
    assert diff_records(made, facts) == []
    wrong = {CARD: made[CARD].replace("weights)", "weights) or a lexical part of 12 weights")}
    assert {one.name for one in diff_records(wrong, facts)} == {"lexical_parameters"}
    with pytest.raises(ArtefactError, match="Top-1 accuracy, head alone"):
        export_records(facts, PROVIDER, tmp_path / "out", edited={CARD: made[CARD] + "\nTop-1 accuracy, head alone: 1.5 %\n"})


def test_every_contradiction_of_an_earlier_record_is_named(facts):
    found = diff_records({"card.md": OLD_CARD}, facts)
    doubly = next(one for one in found if one.computed is None and one.name == "num_domains")
    assert set(doubly.stated) == {47, 32, 34} and "card.md:2" in doubly.sentence
    top1 = next(one for one in found if one.computed is None and one.name == "top1")
    assert set(top1.stated) == {0.876, 0.652}
    stated = {(one.name, one.stated[0]) for one in found if one.computed is not None}
    assert stated >= {
        ("num_domains", 47), ("num_domains", 34), ("num_domains", 32), ("macro_f1", 0.889), ("head_parameters", 85_000), ("size_bytes", 432_000), ("sha256", None),
        ("top1", 0.652), ("evaluated_rows", 1978), ("embedding_dim", 384), ("hidden_dim", 256), ("total_parameters", 22_700_000),
    }  # fmt: skip
    assert any("is empty" in one.sentence and facts.weights[0][:12] in one.sentence for one in found)


def test_a_rounded_figure_is_no_contradiction():
    figures = {"macro_f1": 0.8888, "top1": 0.87561, "head_parameters": 106_784, "num_domains": 32}
    said = claims_of("macro-F1 0.889, Top-1 accuracy: 87.6 %, an MLP head (~107 k parameters), 32 domains", "card")
    assert {claim.name for claim in said} == set(figures) and against(said, figures) == [] and within(said) == []
    wrong = against(claims_of("macro-F1 0.890, an MLP head (106 785 parameters)", "card"), figures)
    assert {one.name for one in wrong} == {"macro_f1", "head_parameters"}


def test_the_shipped_provider_file_reads_and_odd_ones_are_refused(project, tmp_path):
    assert read_provider(project / "models" / "provider.yaml").license_spdx == "Apache-2.0"
    path = tmp_path / "provider.yaml"
    for text, said in (
        ("version: 1\nmail: x", "unknown fields mail"),
        ("version: 1\nout_of_scope: x", "list of texts"),
        ("version: 1\npower_w: -3", "watts"),
        ("provider: x", "version: 1"),
        ("a: [", "expected"),
    ):
        path.write_text(text)
        with pytest.raises(SettingsError, match=said):
            read_provider(path)
    with pytest.raises(SettingsError, match="missing"):
        read_provider(tmp_path / "none.yaml")


def test_parameters_are_counted_from_the_file_without_its_integers(tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"w": np.zeros((3, 4), np.float32), "ids": np.zeros(9, np.int64)}, tmp_path / "w.safetensors")
    assert count_parameters(tmp_path / "w.safetensors") == 12
