"""The map's core: what a layout is keyed by, that placed points stay, and what areas, searches and categories mean."""

from __future__ import annotations

import hashlib
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lab.errors import ArtefactError, InputError, LabError
from lab.evaluation import areas, points
from lab.evaluation.maps import Job, Maps, follow, wait
from lab.evaluation.projection import PARAMETERS, extend, key_sha256, layout_key, make_layout, place, project, read_layout, write_layout


def ids(count: int, start: int = 0) -> list[str]:
    return [hashlib.sha256(str(n).encode()).hexdigest() for n in range(start, start + count)]


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def two_clusters():
    """40 unit vectors near two axes of a space of 8, laid out around (−5, 0) and (5, 0)."""
    chance = np.random.default_rng(1)
    base = np.zeros((40, 8))
    base[:20, 0], base[20:, 1] = 1, 1
    xy = chance.normal(0, 0.2, (40, 2)).astype(np.float32)
    xy[:20, 0] -= 5
    xy[20:, 0] += 5
    return unit(base + chance.normal(0, 0.05, base.shape)), xy


# the key


def test_the_key_changes_with_encoder_prompts_and_each_parameter_and_not_with_the_order():
    known = key_sha256(layout_key("enc", ids(5)))
    others = [
        layout_key("enc2", ids(5)),
        layout_key("enc", ids(6)),
        *(layout_key("enc", ids(5), PARAMETERS | {name: "other"}) for name in PARAMETERS),
    ]
    assert len({known, *map(key_sha256, others)}) == 1 + len(others)
    assert key_sha256(layout_key("enc", ids(5)[::-1])) == known


# anchored placement


def test_a_layout_that_grows_keeps_known_points_to_the_bit_and_puts_new_ones_by_their_neighbours(two_clusters):
    vectors, xy = two_clusters
    old = make_layout(layout_key("enc", ids(40)), ids(40), xy)
    near_second = unit(vectors[20:23] + 0.01)
    grown = extend(old, layout_key("enc", ids(43)), ids(43), np.vstack([vectors, near_second]))
    assert grown.xy[grown.find(ids(40))].tobytes() == xy.tobytes()
    new = grown.xy[grown.find(ids(3, start=40))]
    assert np.hypot(*(new - [5, 0]).T).max() < 0.5


def test_a_near_duplicate_lands_on_its_twin(two_clusters):
    vectors, xy = two_clusters
    spread = np.eye(8, dtype=np.float32)
    at = np.arange(16, dtype=np.float32).reshape(8, 2)
    assert place(spread[3:4], spread, at)[0] == pytest.approx(at[3], abs=1e-3)
    with pytest.raises(InputError, match="no placed prompt"):
        place(vectors[:1], vectors[:0], xy[:0])


def test_few_rows_are_laid_on_a_circle_without_umap():
    xy = project(np.eye(6, dtype=np.float32))
    assert np.hypot(*xy.T) == pytest.approx(1)


# on disk


def test_a_layout_comes_back_as_it_was_written(two_clusters, tmp_path):
    layout = make_layout(layout_key("enc", ids(40)), ids(40), two_clusters[1])
    write_layout(tmp_path / "a.npz", layout)
    again = read_layout(tmp_path / "a.npz")
    assert (again.key, again.sha256) == (layout.key, layout.sha256)
    assert (again.find([*ids(2), "f" * 64]) >= 0).tolist() == [True, True, False]


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"PK" + data[2:60], lambda data: b"not a layout"]
)
def test_a_damaged_file_is_a_clear_error_and_for_the_page_no_layout(two_clusters, tmp_path, damage):
    vectors, xy = two_clusters
    maps = Maps(tmp_path, tmp_path / "no-shipped.npz")
    layout = make_layout(layout_key("enc", ids(40)), ids(40), xy)
    path = maps.path(layout.key)
    write_layout(path, layout)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ArtefactError, match="no layout"):
        read_layout(path)
    assert maps.layout("enc", ids(40), vectors) is None
    write_layout(path, layout)
    assert maps.layout("enc", ids(40), vectors).sha256 == layout.sha256


def test_shapes_order_and_numbers_are_checked(two_clusters):
    layout = make_layout(layout_key("enc", ids(40)), ids(40), two_clusters[1])
    for wrong in ({"xy": layout.xy[:-1]}, {"ids": layout.ids[::-1].copy()}, {"xy": np.full_like(layout.xy, np.nan)}):
        with pytest.raises(ArtefactError):
            type(layout)(**({"key": layout.key, "ids": layout.ids, "xy": layout.xy} | wrong))


def test_the_shipped_layout_is_grown_when_rows_are_added_and_refused_for_another_encoder(two_clusters, tmp_path):
    vectors, xy = two_clusters
    shipped = tmp_path / "shipped.npz"
    write_layout(shipped, make_layout(layout_key("enc", ids(40)), ids(40), xy))
    maps = Maps(tmp_path / "state", shipped)
    more = np.vstack([vectors, vectors[:2]])
    grown = maps.layout("enc", ids(42), more)
    assert (grown.find(ids(42)) >= 0).all()
    assert grown.xy[grown.find(ids(40))].tobytes() == xy.tobytes()
    assert Maps(tmp_path / "state", tmp_path / "gone.npz").layout("enc", ids(42), more).sha256 == grown.sha256, "it was kept"
    assert maps.layout("other", ids(40), vectors) is None
    assert maps.layout("enc", ids(100), np.tile(vectors, (3, 1))[:100]) is None, (
        "a layout of less than half of the corpus is no layout of it"
    )


def test_progress_of_the_process_is_read_line_by_line_and_its_last_words_are_the_error(tmp_path):
    job = Job()
    follow(
        [
            sys.executable,
            "-c",
            "import sys; print('map: lay out 3/200', file=sys.stderr); print('Error: out of memory', file=sys.stderr); sys.exit(1)",
        ],
        job,
    )
    assert (job.stage, job.done, job.of, job.running) == ("lay out", 3, 200, False)
    with pytest.raises(LabError, match="out of memory"):
        wait(job, lambda one: None, lambda: None)


# the shipped layout


def test_the_shipped_layout_covers_the_shipped_corpus_and_is_bound_to_corpus_and_encoder(bench, project):
    path = project / "models" / "map" / "layout.npz"
    layout = read_layout(path)
    rows = bench.corpus.rows
    trained = bench.router("lab-47").ours
    assert layout.key == layout_key(trained["encoder_id"], [row.id for row in rows])
    assert (layout.find([row.id for row in rows]) >= 0).all()
    assert len(layout.ids) == len({row.id for row in rows})
    assert path.stat().st_size < 200_000
    assert np.ptp(layout.xy, axis=0).min() > 1


# areas


def test_what_is_drawn_survives_the_link_and_selects_what_lies_inside():
    drawn = [
        {"brush_type": "rect", "coord_range": [[0, 2], [0, 1]]},
        {"brush_type": "polygon", "coord_range": [[5, 5], [7, 5], [6, 7]]},
        {"brush_type": "lineX", "coord_range": [0, 1]},
    ]
    link = areas.to_link(drawn)
    found = areas.inside(areas.from_link(link), np.array([1.0, 3.0, 6.0, 6.9]), np.array([0.5, 0.5, 6.0, 6.9]))
    assert found.tolist() == [True, False, True, False]
    assert areas.from_link("") == [] and areas.to_link([]) == ""


def test_a_long_lasso_becomes_short_and_stays_true():
    turn = np.linspace(0, 2 * np.pi, 900, endpoint=False)
    link = areas.to_link([{"brush_type": "polygon", "coord_range": np.stack([2 * np.cos(turn), 2 * np.sin(turn)], 1).tolist()}])
    corners = areas.from_link(link)[0]
    assert len(corners) <= areas.MOST_CORNERS and len(link) < 1_500
    assert np.hypot(*corners.T) == pytest.approx(2, abs=0.03)


@pytest.mark.parametrize("damaged", ["1,2", "1,2,3,x,5,6", "nan,1,2,3,4,5", "1,2,3,4,5", "inf,1,2,3,4,5", "0,0,1,1,0,1" + ",0" * 4_000])
def test_a_damaged_area_is_a_sentence(damaged):
    with pytest.raises(InputError, match="damaged"):
        areas.from_link(damaged)


# points


def test_search_knows_neither_case_nor_accents():
    texts = [points.folded(text) for text in ("Câble de 6 mm²", "CABLES", "Kabel", "straße")]
    assert points.contains(texts, " CÂBLE ").tolist() == [True, True, False, False]
    assert points.contains(texts, "STRASSE").tolist() == [False, False, False, True]


def judged(right: list[bool], known: list[bool]) -> SimpleNamespace:
    return SimpleNamespace(right=np.array(right), known=np.array(known))


def test_fixed_and_broken_are_told_from_the_old_router_to_the_new():
    before = judged([False, True, True, False, True], [True, True, True, True, False])
    after = judged([True, False, True, False, True], [True] * 5)
    assert list(points.changes(before, after)) == [points.FIXED, points.BROKEN, points.BOTH_RIGHT, points.BOTH_WRONG, points.NO_VERDICT]


def test_categories_name_every_point_and_bands_are_ordered():
    table = pd.DataFrame(
        {"domain": ["b", "a", "b"], "language": ["fr", "en", "fr"], "margin": [0.05, 0.85, 0.4], "verdict": ["right", "wrong", "right"]}
    )
    assert points.categories(table, "Domain")[1] == ["b", "a"]
    assert points.categories(table, "Margin")[0].tolist() == [0, 4, 2]
    assert points.categories(table, "Right or wrong")[0].tolist() == [0, 1, 0]
    many = pd.DataFrame({"language": [f"l{n}" for n in range(20)]})
    codes, names = points.categories(many, "Language")
    assert (len(names), codes.min() >= 0, names[-1]) == (points.LANGUAGES_NAMED + 1, True, "13 others")
    with pytest.raises(InputError, match="no colouring"):
        points.categories(table, "Mood")


def test_names_moved_apart_no_longer_overlap():
    boxes = np.full((12, 2), [0.1, 0.05])
    moved = points.apart(np.random.default_rng(0).normal(0.5, 0.02, (12, 2)), boxes)
    gap = np.abs(moved[:, None] - moved[None, :])
    overlap = (gap < boxes[0] - 1e-3).all(axis=2) & ~np.eye(12, dtype=bool)
    assert not overlap.any()


def test_the_densest_place_is_inside_a_cluster_and_not_between_two():
    xy = np.vstack([np.random.default_rng(0).normal((0, 0), 0.1, (60, 2)), np.random.default_rng(1).normal((9, 0), 1.5, (60, 2))])
    assert np.hypot(*points.densest(xy)) < 0.2


def test_the_nearest_domain_is_found_in_the_encoders_space():
    vectors = unit(np.array([[1, 0, 0], [1, 0.1, 0], [0.9, 0.4, 0], [0, 0, 1]]))
    near = points.nearest_domains(["a", "a", "b", "c"], vectors).set_index("domain")
    assert near.loc["a", "nearest"] == "b" and near.loc["b", "nearest"] == "a"
    assert near.loc["a", "cosine"] == pytest.approx(near.loc["b", "cosine"])


@pytest.mark.real
def test_a_typed_prompt_is_pinned_by_its_neighbours(bench):
    router = bench.router("lab-47")
    layout = bench.map_layout(router)
    row = next(row for row in bench.corpus.rows if row.domain == "docker")
    at = bench.pin(row.text, router, layout)
    assert at == pytest.approx(layout.xy[layout.find([row.id])[0]], abs=0.5)
