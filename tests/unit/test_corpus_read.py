"""Reading labelled prompts: every format of spec router.md §4, and nothing dropped in silence (lab.corpus.read)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.corpus.read import read_corpus, read_upload
from lab.corpus.rows import corpus_sha256
from lab.errors import InputError


def jsonl(*values) -> bytes:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


def write(folder, **files):
    """Files by name, '/' written as '__'."""
    for name, data in files.items():
        path = folder / f"{name.replace('__', '/')}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


# the formats


def test_split_files_give_their_rows_the_split(tmp_path):
    row = {"prompt": "p", "domain": "docker"}
    write(tmp_path, train=jsonl(row, row | {"prompt": "q"}), valid=jsonl(row | {"prompt": "r"}), test=jsonl(row | {"prompt": "s"}))
    reading = read_corpus(tmp_path)
    assert {row.text: row.split for row in reading.rows} == {"p": "train", "q": "train", "r": "valid", "s": "test"}
    assert {row.domain for row in reading.rows} == {"docker"}
    assert reading.refused == []


def test_a_row_without_label_in_a_split_file_is_refused_not_labelled_train(tmp_path):
    reading = read_corpus(write(tmp_path, train=jsonl({"prompt": "p"})))
    assert reading.rows == []
    assert reading.refused[0].where == "train.jsonl:1"
    assert "no label" in reading.refused[0].reason


@pytest.mark.parametrize(
    ("stem", "split"), [("validation", "valid"), ("val", "valid"), ("dev", "valid"), ("Test", "test"), ("TRAIN", "train"), ("docker", "")]
)
def test_names_of_splits(stem, split):
    assert read_upload(jsonl({"prompt": "p", "domain": "d"}), f"{stem}.jsonl").rows[0].split == split


@pytest.mark.parametrize(("own", "split"), [("train", "train"), ("validation", "valid"), ("TEST", "test"), (None, "test")])
def test_a_rows_own_split_wins_over_its_files(own, split):
    assert read_upload(jsonl({"prompt": "p", "domain": "d", "split": own}), "test.jsonl").rows[0].split == split


def test_corpus_rows_keep_also_language_source_and_licence():
    row = read_upload(
        jsonl(
            {
                "prompt": "p",
                "domain": " docker ",
                "also": ["devops", "docker", "devops", "shell"],
                "lang": "fr",
                "source": "sahil2801/CodeAlpaca-20k",
                "license": "CC-BY-4.0",
                "x": 1,
            }
        ),
        "a.jsonl",
    ).rows[0]
    assert (row.text, row.domain, row.also, row.lang) == ("p", "docker", ("devops", "shell"), "fr")
    assert (row.source, row.licence, row.where) == ("sahil2801/CodeAlpaca-20k", "CC-BY-4.0", "a.jsonl:1")


def test_generated_rows_one_file_a_domain_text_and_label_or_the_stem(tmp_path):
    write(
        tmp_path, docker=jsonl({"text": "a", "label": "docker"}, {"text": "b"}), spice=jsonl({"text": "c"}, {"text": "d", "label": "power"})
    )
    assert [(row.text, row.domain) for row in read_corpus(tmp_path).rows] == [
        ("a", "docker"),
        ("b", "docker"),
        ("c", "spice"),
        ("d", "power"),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {
                "messages": [
                    {"role": "user", "content": "first"},
                    {"role": "assistant", "content": "no"},
                    {"role": "user", "content": "second"},
                ]
            },
            "first",
        ),
        ({"messages": [{"role": "system", "content": "You are kind."}, {"role": "user", "content": "hello"}]}, "hello"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "one"}, {"type": "image", "url": "x"}, {"type": "text", "text": "two"}],
                    }
                ]
            },
            "one\ntwo",
        ),
        ({"instruction": "do it", "output": "done"}, "do it"),
        ({"query": "what"}, "what"),
        ({"prompt": "p", "text": "t", "instruction": "i"}, "p"),
        ({"prompt": 5, "text": "t"}, "t"),
    ],
    ids=["chat", "chat with system", "chat blocks", "instruction", "query", "prompt first", "prompt of another type"],
)
def test_where_the_prompt_is_found(value, text):
    reading = read_upload(jsonl(value), "chat-fr.jsonl")
    assert [(row.text, row.domain) for row in reading.rows] == [(text, "chat-fr")]


def test_a_subfolder_is_the_part_and_files_come_in_name_order(tmp_path):
    write(
        tmp_path,
        plain__b=jsonl({"prompt": "3"}),
        field__b=jsonl({"prompt": "2"}),
        field__a=jsonl({"prompt": "1"}, {"prompt": "own", "part": "mine"}),
    )
    assert [(row.text, row.domain, row.part, row.where) for row in read_corpus(tmp_path).rows] == [
        ("1", "a", "field", "field/a.jsonl:1"),
        ("own", "a", "mine", "field/a.jsonl:2"),
        ("2", "b", "field", "field/b.jsonl:1"),
        ("3", "b", "plain", "plain/b.jsonl:1"),
    ]


def test_short_greetings_survive():
    reading = read_upload(
        "".join(f'{{"prompt": "{text}", "domain": "chat-fr"}}\n' for text in ("Bonjour", "Hello", "?", "ok")).encode(), "a.jsonl"
    )
    assert [row.text for row in reading.rows] == ["Bonjour", "Hello", "?", "ok"]


# bytes as they come


def test_bom_crlf_empty_lines_and_a_missing_last_line_end_change_nothing():
    plain = jsonl({"prompt": "un", "domain": "d"}, {"prompt": "deux", "domain": "d"})
    odd = b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n").replace(b"\r\n", b"\r\n \r\n", 1).rstrip()
    assert (
        [row.text for row in read_upload(plain, "a.jsonl").rows] == [row.text for row in read_upload(odd, "a.jsonl").rows] == ["un", "deux"]
    )
    assert read_upload(odd, "a.jsonl").refused == []
    assert [row.where for row in read_upload(odd, "a.jsonl").rows] == ["a.jsonl:1", "a.jsonl:3"]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\u000b"], ids=["U+2028", "U+2029", "U+0085", "U+000B"])
def test_a_unicode_line_break_inside_a_prompt_is_no_line_end(mark):
    reading = read_upload(jsonl({"prompt": f"a{mark}b", "domain": "d"}, {"prompt": "c", "domain": "d"}), "a.jsonl")
    assert [row.text for row in reading.rows] == [f"a{mark}b", "c"]
    assert reading.refused == []


def test_a_carriage_return_alone_ends_no_line():
    assert [(row.text, row.where) for row in read_upload(b'{"prompt":\r"a"}\n{"prompt": "b"}', "d.jsonl").rows] == [
        ("a", "d.jsonl:1"),
        ("b", "d.jsonl:2"),
    ]


def test_an_upload_reads_like_the_file(tmp_path):
    data = jsonl({"prompt": "a", "domain": "x"}, {"prompt": ""}, ["no"]) + b"{broken\n"
    (tmp_path / "f.jsonl").write_bytes(data)
    assert read_upload(data, "f.jsonl") == read_corpus(tmp_path / "f.jsonl")


# what is refused

REFUSED = [
    (b"{broken", "not JSON"),
    (b"[1, 2]", "expected an object, found list"),
    (b'"text"', "expected an object, found str"),
    (b"null", "expected an object, found NoneType"),
    (b"\xff\xfe{}", "not UTF-8 (byte 0 of the line)"),
    (b"{}", "no prompt: expected one of prompt, text, instruction, query or messages, found no key"),
    (b'{"prompt": 7, "domain": "d"}', "no prompt: prompt holds 7, not a text"),
    (b'{"question": "q"}', "found 'question'"),
    (b'{"messages": []}', "no prompt"),
    (b'{"messages": [{"role": "assistant", "content": "a"}]}', "no prompt"),
    (b'{"messages": [{"role": "user", "content": 3}]}', "no prompt"),
    (b'{"messages": [{"role": "user", "content": [{"type": "image"}]}]}', "the prompt is empty"),
    (b'{"prompt": ""}', "the prompt is empty"),
    (b'{"prompt": "  "}', "only white space"),
    (b'{"prompt": "a\\u0000b"}', "NUL character at position 2"),
    (b'{"prompt": "\\ud800"}', "lone surrogate (U+D800)"),
    (b'{"prompt": "p", "domain": 3}', "no label: expected a text under domain or label, found 3"),
    (b'{"prompt": "p", "domain": null}', "no label"),
    (b'{"prompt": "p", "label": " "}', "no label"),
    (b'{"prompt": "p", "also": "docker"}', "'also' is str, expected a list of labels"),
    (b'{"prompt": "p", "also": [1]}', "'also' holds 1, expected labels as texts"),
    (b'{"prompt": "p", "also": ["a", null]}', "'also' holds None"),
    (b'{"prompt": "p", "source": "\\ud800"}', "a lone surrogate in '\\ud800'"),
    (b'{"prompt": "p", "x": NaN}', "the number NaN is not finite"),
    (b'{"prompt": "p", "x": [-1e999]}', "the number -1e999 is not finite"),
    (b'{"prompt": "p", "split": "holdout"}', "split 'holdout' is unknown, expected train, valid or test"),
    (b'{"prompt": "p", "split": 1}', "split 1 is unknown"),
    (b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED, ids=[said[:40] + f" #{n}" for n, (_, said) in enumerate(REFUSED)])
def test_a_line_that_is_no_row_is_refused_with_place_and_reason_and_the_rest_is_read(line, said):
    reading = read_upload(b'{"prompt": "before"}\n\n' + line + b'\n{"prompt": "after"}\n', "d.jsonl")
    assert [row.text for row in reading.rows] == ["before", "after"]
    assert [one.where for one in reading.refused] == ["d.jsonl:3"]
    assert said in reading.refused[0].reason
    (reading.refused[0].reason + reading.refused[0].excerpt).encode()  # can be printed and stored


def test_a_number_that_python_will_not_parse_refuses_its_line_alone():
    reading = read_upload(b'{"prompt": "a", "n": ' + b"1" * 5_000 + b'}\n{"prompt": "b"}\n', "d.jsonl")
    assert [row.text for row in reading.rows] == ["b"]
    assert reading.refused[0].where == "d.jsonl:1"


@pytest.mark.parametrize("line", [b'{"prompt": "p", "domain": "\\ud800"}', b'{"prompt": "p", "also": ["\\ud800"]}'], ids=["domain", "also"])
def test_a_label_with_a_lone_surrogate_does_not_break_what_comes_after(line):
    reading = read_upload(line + b'\n{"prompt": "b"}\n', "d.jsonl")
    assert len(reading.rows) + len(reading.refused) == 2
    corpus_sha256(reading.rows)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "absent.jsonl", "does not exist"),
        (lambda folder: folder, "holds no *.jsonl file"),
    ],
    ids=["absent", "empty folder"],
)
def test_nothing_to_read_is_an_error_with_the_path(tmp_path, make, said):
    path = make(tmp_path)
    with pytest.raises(InputError) as caught:
        read_corpus(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


# every line is accounted for

KEYS = st.sampled_from(["prompt", "text", "instruction", "domain", "label", "also", "split", "messages", "lang", "part", "x"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["train", "test", "docker", "user", "Bonjour"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["role", "content", "text", "type"]), inner, max_size=3)
    ),
    max_leaves=6,
)
LINES = st.one_of(
    st.dictionaries(KEYS, VALUES, max_size=5).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.just("prompt"), st.text(max_size=9), min_size=1).map(
        lambda value: json.dumps(value | {"domain": "d"}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    ),
    st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")),
    st.sampled_from([b"", b" ", b"\r", b"{}", b"[]", b'{"prompt": "x"'.replace(b"x", b"\xc3")]),
)


@given(st.lists(LINES, max_size=8), st.sampled_from(["d.jsonl", "train.jsonl"]))
def test_rows_and_refused_account_for_every_non_empty_line(lines, name):
    data = b"\n".join(lines)
    reading = read_upload(data, name)
    places = sorted([one.where for one in (*reading.rows, *reading.refused)], key=lambda where: int(where.split(":")[1]))
    assert places == [
        f"{name}:{number}" for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1) if line.strip()
    ]
    assert all(one.reason for one in reading.refused)
    assert all(row.text.strip() and row.domain.strip() for row in reading.rows)


def test_the_shipped_corpus_reads_without_a_refusal(bench):
    assert bench.corpus.refused == []
    assert {row.part for row in bench.corpus.rows} == {"field", "plain"}
    assert all(row.lang for row in bench.corpus.rows)
