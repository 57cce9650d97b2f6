"""Labelled prompts leave and come back the same, in every format; what cannot is named with its place and reason."""

import csv
import io
import json
import zipfile
from dataclasses import replace

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.corpus.read import read_corpus
from lab.corpus.rows import corpus_sha256
from lab.curation.formats import label_studio
from lab.curation.formats.cells import defused, fused
from lab.curation.formats.export import FORMATS, export, save
from lab.curation.formats.labelled import Labelled
from lab.curation.formats.load import read_labelled
from lab.curation.state import State
from lab.errors import InputError
from lab.taxonomy import Domain, Taxonomy
from lab.text.prepare import fault, text_id

TAXONOMY = Taxonomy(
    1, "r", tuple(Domain(name, "d", "b", None, aliases) for name, aliases in (("spice", ()), ("power", ("psu",)), ("kicad-pcb", ("pcb",))))
)
NAMES = sorted(TAXONOMY.by_name)
NASTY = [
    "=1+1",
    "'=1+1",
    "''-x",
    "+33",
    "@a",
    "\t=x",
    "\r\nx",
    "a\rb",
    'say "hi"',
    "a\u2028b\x85c",
    "\u202eabc",
    "👩‍🔬 é",
    "\ufeffx",
    "a;b|c,d",
    "'",
]


def row(text="How do I size a buck inductor?", domain="power", **more):
    return Labelled(text_id(text), text, domain, **more)


def back(rows, format):
    made = export(rows, format)
    return read_labelled(made.data, TAXONOMY, made.file_name)


characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
texts = (st.text(characters, min_size=1, max_size=60) | st.sampled_from(NASTY)).filter(lambda text: fault(text) is None)
words = st.text(characters, max_size=20) | st.sampled_from(NASTY)
states = st.builds(State, st.none() | st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES)).map(tuple), st.booleans(), st.booleans())


@st.composite
def labelled(draw):
    text, state = draw(texts), draw(states)
    return Labelled(
        text_id(text), text, state.domain, state.also, state.routable, state.flagged, draw(words), draw(words), draw(words), draw(words),
        draw(st.sampled_from(["train", "valid", "test", "left-out", ""])), draw(words), draw(words), draw(words), draw(words),
        draw(st.none() | states),
    )  # fmt: skip


def test_an_empty_export_comes_back_empty_but_as_a_folder_it_is_refused():
    for format in FORMATS:
        if format == "huggingface":
            with pytest.raises(InputError, match="no prompt to export"):
                export([], format)
        else:
            assert back([], format).rows == []


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(labelled(), min_size=1, max_size=4, unique_by=lambda row: row.id))
def test_what_is_exported_comes_back_the_same(format, rows):
    got = back(rows, format)
    assert sorted(got.rows, key=lambda row: row.id) == sorted(rows, key=lambda row: row.id)
    assert (got.refused, got.repeated, got.renamed, got.unused, got.read) == ([], [], {}, {}, len(rows))


@pytest.mark.parametrize("format", FORMATS)
def test_every_nasty_text_comes_back_exactly(format):
    rows = [row(f"{nasty} x", "spice", reason=nasty, who=nasty, before=State("power")) for nasty in NASTY]
    rows += [row(f"{nasty}", "spice") for nasty in NASTY if text_id(nasty) not in {one.id for one in rows}]
    rows = list({one.id: one for one in rows}.values())
    assert back(rows, format).rows == sorted(rows, key=lambda row: row.id)


@pytest.mark.parametrize("format", FORMATS)
def test_the_order_of_the_rows_changes_no_byte(format):
    rows = [row(f"prompt {n}", NAMES[n % 3], split="train" if n % 2 else "test") for n in range(9)]
    one, other = export(rows, format), export(rows[::-1], format)
    assert one.data == other.data
    assert (one.sha256, one.n) == (other.sha256, 9)
    assert export([replace(rows[0], domain="power"), *rows[1:]], format).sha256 != one.sha256


def test_labels_sha256_is_that_of_the_corpus_the_export_makes(tmp_path):
    rows = [
        row("a resistor", "power", also=("spice",)),
        row("a trace", "kicad-pcb"),
        row("hello", None),
        row("spam", "power", routable=False),
    ]
    made = export(rows, "jsonl")
    save(export(rows[:2], "jsonl"), tmp_path / "train.jsonl")
    assert made.labels_sha256 == corpus_sha256(read_corpus(tmp_path / "train.jsonl").rows)


@given(st.text() | st.sampled_from(NASTY))
def test_defusing_is_undone_exactly_and_leaves_no_formula(cell):
    assert fused(defused(cell)) == cell
    assert not defused(cell).lstrip(" \u00a0\ufeff").startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_spreadsheet_meets_no_formula():
    data = export([row('=HYPERLINK("http://x";"y")', source="@SUM(A1)", reason="-2+3")], "csv").data
    cells = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))[1]
    assert '\'=HYPERLINK("http://x";"y")' in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_rows_that_no_file_can_hold_are_refused_on_the_way_out():
    with pytest.raises(InputError, match="NUL character"):
        export([Labelled("0" * 64, "a\0b", "power")], "csv")
    with pytest.raises(InputError, match="lone surrogate"):
        export([row(reason="\ud800")], "jsonl")
    with pytest.raises(InputError, match="white space"):
        export([row(domain="two words")], "jsonl")
    with pytest.raises(InputError, match="is there twice"):
        export([row(), row()], "jsonl")
    with pytest.raises(InputError, match="no format 'xls'"):
        export([], "xls")


def reading(lines, name="x.jsonl", **more):
    return read_labelled("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode(), TAXONOMY, name, **more)


def test_each_refusal_names_its_line_and_reason():
    got = reading(
        [
            {"prompt": "ok", "domain": "power"},
            "{broken",
            {"prompt": "  ", "domain": "power"},
            {"prompt": "a\0", "domain": "power"},
            {"prompt": "\ud800 x", "domain": "power"},
            {"prompt": "x", "domain": "powr"},
            {"prompt": "y", "domain": "power", "also": ["nope"]},
            {"domain": "power"},
            {"prompt": "z", "domain": 3},
            {"prompt": "z", "domain": "power", "split": "middle"},
            {"prompt": "z", "domain": "power", "id": text_id("another")},
            {"prompt": "z", "domain": "power", "routable": "perhaps"},
        ]
    )
    assert [one.text for one in got.rows] == ["ok"]
    reasons = {one.where: one.reason for one in got.refused}
    assert list(range(2, 13)) == sorted(int(where.split(":")[1]) for where in reasons)
    for line, part in {
        2: "not JSON", 3: "white space", 4: "NUL", 5: "lone surrogate (U+D800)", 6: "unknown domain 'powr', near: power", 7: "'nope'",
        8: "no prompt", 9: "the label is 3", 10: "split 'middle' is unknown", 11: "the id is that of another text", 12: "expected true or false",
    }.items():  # fmt: skip
        assert part in reasons[f"x.jsonl:{line}"]
    assert got.read == 12 == len(got.rows) + len(got.refused) + len(got.repeated)


def test_aliases_become_the_taxonomys_names_and_are_counted():
    got = reading(
        [{"text": "a", "label": "psu"}, {"text": "b", "label": "PCB", "also": ["psu", "spice"]}, {"text": "c", "label": "psu", "x": 1}]
    )
    assert [(one.domain, one.also) for one in got.rows] == [("power", ()), ("kicad-pcb", ("power", "spice")), ("power", ())]
    assert got.renamed == {"psu → power": 3, "PCB → kicad-pcb": 1}
    assert got.unused == {"x": 1}


def test_contradicting_labels_of_one_prompt_are_all_refused_and_equal_ones_kept_once():
    got = reading(
        [
            {"prompt": "same", "domain": "power"}, {"prompt": " same ", "domain": "spice"}, {"prompt": "twin", "domain": "spice"},
            {"prompt": "twin", "domain": "spice"},
        ]
    )  # fmt: skip
    assert [one.text for one in got.rows] == ["twin"]
    assert [one.where for one in got.refused] == ["x.jsonl:1", "x.jsonl:2"]
    assert "x.jsonl:1: power; x.jsonl:2: spice" in got.refused[0].reason
    assert [one.where for one in got.repeated] == ["x.jsonl:4"]


def test_an_import_never_chooses_the_split_of_a_known_prompt():
    lines = [{"prompt": "old", "domain": "power", "split": "train"}, {"prompt": "new", "domain": "power", "split": "test"}]
    got = reading(lines, known={text_id("old"): "test"})
    assert [one.split for one in got.rows] == ["test", "test"]
    assert [(one.where, one.reason) for one in got.kept_split] == [
        ("x.jsonl:1", "the file says train, the project test: the project's stands")
    ]


def test_the_name_of_the_file_gives_label_or_split_where_the_rows_do_not():
    assert reading([{"text": "a"}], "spice.jsonl").rows[0].domain == "spice"
    assert reading([{"text": "a", "label": None}], "spice.jsonl").rows[0].domain is None
    assert reading([{"text": "a"}], "stuff.jsonl").rows[0].domain is None
    assert reading([{"text": "a", "label": "power"}], "valid.jsonl").rows[0].split == "valid"


def test_a_semicolon_csv_of_a_french_spreadsheet_is_read():
    data = '\ufeffprompt;domain;also\r\n"Où est ;\r\nle fil ?";psu;spice\r\nb;power\r\n\r\n"c";power;\r\n'.encode()
    got = read_labelled(data, TAXONOMY, "x.csv")
    assert [(one.text, one.domain, one.also, one.where) for one in got.rows] == [
        ("Où est ;\r\nle fil ?", "power", ("spice",), "x.csv:2"), ("c", "power", (), "x.csv:6")
    ]  # fmt: skip
    assert [(one.where, one.reason) for one in got.refused] == [("x.csv:4", "2 cells where the header names 3")]


def test_csv_that_is_not_utf8_and_a_quote_that_never_ends_are_named():
    with pytest.raises(InputError, match=r"x\.csv:2 is not UTF-8"):
        read_labelled("prompt,domain\né,power\n".encode("cp1252"), TAXONOMY, "x.csv")
    got = read_labelled(b'prompt,domain\na,power\n"b,power\nc,power\n', TAXONOMY, "x.csv")
    assert len(got.rows) == 1
    assert "unexpected end of data (read up to line 4)" in got.refused[0].reason


def test_the_hugging_face_folder_has_the_documented_layout(tmp_path):
    rows = [
        row(f"p {n}", "power", split=split, language="fr", licence="Apache-2.0")
        for n, split in enumerate(["train", "valid", "left-out", ""])
    ]
    made = export(rows, "huggingface")
    save(made, tmp_path / "set")
    card = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    files = {one["split"]: one["path"] for one in head["configs"][0]["data_files"]}
    assert list(files) == ["train", "validation", "left_out", "unsplit"]
    assert all((tmp_path / "set" / path).read_bytes()[:4] == b"PAR1" for path in files.values())
    assert (head["license"], head["language"], head["size_categories"]) == (["apache-2.0"], ["fr"], ["n<1K"])
    for source in (tmp_path / "set", made.data):
        got = read_labelled(source, TAXONOMY, "set.zip" if isinstance(source, bytes) else "")
        assert sorted(got.rows, key=lambda one: one.text) == rows
        assert (got.format, got.skipped) == ("huggingface", [])


def test_a_foreign_hugging_face_folder_gives_splits_from_card_and_names_and_labels_from_class_numbers(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "data").mkdir()
    info = {"info": {"features": {"label": {"names": ["power", "spice"], "_type": "ClassLabel"}}}}
    table = pa.table({"text": ["a", "b"], "label": [1, 0]}).replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, tmp_path / "data" / "test-00000-of-00001.parquet")
    (tmp_path / "extra.csv").write_text("text,label\nc,power\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("hello", encoding="utf-8")
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: validation\n    path: '*.csv'\n---\n", encoding="utf-8"
    )
    got = read_labelled(tmp_path, TAXONOMY)
    assert [(one.text, one.domain, one.split) for one in got.rows] == [
        ("a", "spice", "test"),
        ("b", "power", "test"),
        ("c", "power", "valid"),
    ]
    assert [one.where for one in got.skipped] == ["notes.txt"]


def test_bad_zips_and_parquet_are_refused_as_a_whole():
    def zipped(name, data=b"x"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(name, data)
        return out.getvalue()

    for data, match in (
        (zipped("../evil.jsonl"), "leads out of it"),
        (zipped("notes.txt"), "holds no data file"),
        (b"PK\x03\x04 broken", "no zip that can be read"),
        (b"PAR1 broken PAR1", "no Parquet file"),
        (b'[{"a": NaN}]', "not finite"),
        (b"[" * 100_000, "nested too deeply"),
        (b"hello", "of no known format"),
    ):
        with pytest.raises(InputError, match=match):
            read_labelled(data, TAXONOMY, "x")


# reviews in other tools


def test_argilla_records_have_the_shape_that_from_json_reads():
    record = json.loads(export([row(also=("spice",), who="Ann", before=State("spice"))], "argilla").data)[0]
    assert record["fields"] == {"text": "How do I size a buck inductor?"}
    assert record["suggestions"]["domain"] == {"value": "power", "score": None, "agent": "router-lab"}
    assert [one["value"] for one in record["responses"]["also"]] == [["spice"]]
    assert all(isinstance(value, str) for value in record["metadata"].values())
    assert json.loads(export([row()], "argilla").data)[0]["responses"] == {}


def test_answers_given_in_argilla_win_over_the_exported_label():
    record = json.loads(export([row(who="Ann")], "argilla").data)[0]
    record["responses"]["domain"] += [
        {"value": "spice", "user_id": "u-2"},
        {"value": "kicad-pcb", "user_id": "u-3", "status": "discarded"},
    ]
    got = read_labelled(json.dumps([record]).encode(), TAXONOMY, "r.json")
    assert (got.format, got.rows[0].domain, got.rows[0].who, got.rows[0].before) == ("argilla", "spice", "u-2", State("power"))
    record["responses"]["domain"].append({"value": "kicad-pcb", "user_id": "u-4"})
    refused = read_labelled(json.dumps([record]).encode(), TAXONOMY, "r.json").refused
    assert [one.where for one in refused] == ["r.json:1"]
    assert "u-2: spice; u-4: kicad-pcb" in refused[0].reason


def test_a_models_suggestion_in_argilla_is_no_label():
    record = {"id": "1", "fields": {"text": "a"}, "suggestions": {"domain": {"value": "spice", "agent": "llm"}}, "responses": {}}
    assert read_labelled(json.dumps([record]).encode(), TAXONOMY, "r.json").rows[0].domain is None


def test_label_studio_tasks_carry_choices_and_annotations_win():
    task = json.loads(export([row(who="Ann", flagged=True)], "label-studio").data)[0]
    assert task["data"]["text"] == "How do I size a buck inductor?"
    assert task["annotations"][0]["result"] == task["predictions"][0]["result"]
    assert task["predictions"][0]["result"][0] == {
        "from_name": "domain", "to_name": "text", "type": "choices", "value": {"choices": ["power"]}
    }  # fmt: skip
    chosen = [{"from_name": "domain", "to_name": "text", "type": "choices", "value": {"choices": ["pcb"]}}]
    task["annotations"].append(
        {"result": chosen, "completed_by": {"id": 7, "email": "bob@example.org"}, "updated_at": "2026-01-02T03:04:05Z"}
    )
    task |= {"id": 12, "project": 3}
    got = read_labelled(json.dumps([task]).encode(), TAXONOMY, "t.json").rows[0]
    assert (got.domain, got.flagged, got.who, got.at_utc) == ("kicad-pcb", False, "bob@example.org", "2026-01-02T03:04:05Z")
    assert got.before == State("power", flagged=True)


def test_a_foreign_label_studio_export_is_read():
    def task(text, *choices, **more):
        return {"data": {"text": text}, "annotations": [{"result": [
            {"from_name": "sentiment", "to_name": "t", "type": "choices", "value": {"choices": list(choices)}}], **more}]}  # fmt: skip

    tasks = [task("a", "power", "spice"), task("b", "power", was_cancelled=True), {"data": {"text": "c"}, "annotations": [{"result": "?"}]}]
    got = read_labelled(json.dumps(tasks).encode(), TAXONOMY, "t.json")
    assert [(one.text, one.domain, one.also) for one in got.rows] == [("a", "power", ("spice",)), ("b", None, ())]
    assert [one.where for one in got.refused] == ["t.json:3"]


def test_the_labelling_interface_names_every_domain():
    assert label_studio.labelling_config(["a", 'b"&']).count("<Choice value=") == 2 * 2 + 2
    assert "'b\"&amp;'" in label_studio.labelling_config(["a", 'b"&'])
