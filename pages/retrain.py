"""Retrain: what has changed, what a retrain would change, the retrain itself, and whether its version should serve."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lab.curation.state import Actor
from lab.errors import LabError
from lab.release.jobs import Job
from lab.router.adapt import Plan as Deep
from lab.use_cases.job_work import LIMITS
from lab.use_cases.previewing import Plan
from pages.shared import people
from pages.shared.frame import bench, literal, serve, show_error
from pages.shared.ship_common import NAME_FIRST, STATES, moment, name_of, person, said, say, signed
from pages.shared.ship_job import job_panel
from pages.shared.ship_preview import preview_view

DEEPEST = 12
"""Layers of the encoders that can be adapted; one with fewer says so."""


def render() -> None:
    st.header("Retrain", anchor=False)
    said()
    actor = person()
    job = _shown()
    if job is not None:
        job_panel(job, actor)
    with st.spinner("Comparing the labels with those of the champion …"):
        plan = bench().retrain_plan()
        champion = next(one for one in bench().version_list() if one.champion)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _changes(plan, champion.name)
    with right:
        _start(plan, actor)
    st.subheader("What a retrain would change", anchor=False)
    room = st.container()
    _history(job)
    st.caption(
        f"Champion {literal(champion.name)} `{champion.id[:12]}` · labels at event {plan.revision:,} · corpus `{plan.corpus_sha256[:12]}` · split `{plan.split_sha256[:12]}` · "
        + ", ".join(f"{side} {n:,}" for side, n in plan.rows.items())
    )
    with room:
        _preview(plan, bool(job and job.open))


def _shown() -> Job | None:
    """The job of the address, else the one that is open, else the newest that nobody has laid aside."""
    recent = bench().recent_jobs()
    running = [one for one in bench().open_jobs() if one.kind == "retrain"]
    linked = next((one for one in recent if one.id == st.query_params.get("job")), None)
    if running:
        return running[0]
    return linked or next((one for one in recent[:1] if one.result.get("version") != st.session_state.get("left", "")), None)


def _changes(plan: Plan, champion: str) -> None:
    st.subheader(f"Since {literal(champion)}", anchor=False)
    cells = st.columns(3)
    for cell, kind in zip(cells, ("relabelled", "added", "removed"), strict=True):
        cell.metric(kind.capitalize(), f"{plan.changes.get(kind, 0):,}")
    if plan.test_changes:
        st.caption(
            f"And {plan.test_changes:,} on the test side: they make a new version of the evaluation set and are never trained on. Champion and candidate are both measured on it anew."
        )
    if plan.per_domain:
        frame = pd.DataFrame([{"Domain": name, "Came": came, "Left": left} for name, (came, left) in plan.per_domain.items()])
        st.dataframe(
            frame, hide_index=True, height=min(36 * (len(frame) + 1) + 2, 240), key="per-domain",
            column_config={"Came": st.column_config.NumberColumn(format="+%d", width=70), "Left": st.column_config.NumberColumn(format="−%d", width=70)},
        )  # fmt: skip
    if not plan.known:
        st.info("What it was trained on is not known, so its labels cannot be compared with those of now. After one retrain they can.", icon=":material/help:")
    elif not plan.changes:
        st.info("No training label has changed.", icon=":material/rule:")
        st.page_link("pages/confusions.py", label="Start with the worst confusion", icon=":material/grid_on:")
    else:
        st.page_link("pages/curation.py", label="See each change", icon=":material/rule:")


def _start(plan: Plan, actor: Actor | None) -> None:
    if not people.may("maintainer"):
        return
    st.subheader("A new version", anchor=False)
    recipes = bench().recipes
    kept = bench().champion().router.ours.get("recipe") or {}
    names = list(recipes)
    with st.expander("Recipe", icon=":material/tune:"):
        recipe = st.selectbox("Recipe", names, names.index(kept["name"]) if kept.get("name") in names else 0, key="recipe")
        chosen = recipes[recipe]
        st.caption(literal(" ".join(chosen.description.split())))
        one, two, three = st.columns(3)
        low, high = LIMITS["epochs"]
        epochs = one.number_input("Epochs", low, high, chosen.epochs, key=f"epochs-{recipe}")
        least, most = LIMITS["learning_rate"]
        rate = two.number_input("Learning rate", least, most, chosen.learning_rate, step=0.0005, format="%.4f", key=f"rate-{recipe}")
        seed = three.number_input("Seed", *LIMITS["seed"], chosen.seed, key=f"seed-{recipe}", help="The same labels, recipe and seed give the same weights, bit for bit.")
        anyway = st.checkbox("Even if no label has changed", key="anyway", disabled=not plan.blocked)
    changes = {name: value for name, value in (("epochs", int(epochs)), ("learning_rate", float(rate)), ("seed", int(seed))) if value != getattr(chosen, name)}
    blocked = NAME_FIRST if actor is None else plan.blocked if not anyway or "retrain by" in plan.blocked else ""
    adapt = _depth(plan)
    st.button(
        "Retrain" if adapt is None else "Deep retrain", type="primary", icon=":material/model_training:", disabled=bool(blocked), help=blocked or None, key="start",
        on_click=_begin, args=(actor, recipe, changes, anyway, adapt),
    )  # fmt: skip
    st.caption(literal(blocked) if blocked else "Train, evaluate, publish, gate; the champion serves meanwhile.")


def _depth(plan: Plan) -> dict | None:
    """None for a quick retrain, else what of the encoder is trained."""
    quick, deep = "Quick", "Deep"
    if st.segmented_control("How deep", (quick, deep), default=quick, required=True, key="depth") == quick:
        st.caption("About a minute on two cores. The encoder stays as it is; the head and the n-grams learn the labels.")
        return None
    usual = Deep()
    one, two = st.columns(2)
    layers = one.number_input("Layers to train", 1, DEEPEST, usual.layers, key="layers", help="Of the encoder, from the top. Those below stay as they are.")
    epochs = two.number_input("Epochs of the encoder", 1, 10, usual.epochs, key="encoder-epochs")
    minutes = Deep(int(layers), int(epochs)).seconds(sum(plan.rows.values())) / 60
    st.caption(
        f"{max(1, minutes / 3):.0f} to {max(2, minutes):.0f} minutes on two cores: the encoder learns the labels too, then the rest as in a quick one. Measured on the shipped corpus, "
        "one fold of five (n 3,019): macro-F1 76.7 % [74.9, 78.1] with all six layers, about 75.4 % with the frozen encoder. Such a version has no answers out of fold, since its encoder "
        "has learnt the prompts."
    )
    return {"layers": int(layers), "epochs": int(epochs)}


def _begin(actor: Actor, recipe: str, changes: dict, anyway: bool, adapt: dict | None) -> None:
    try:
        st.query_params["job"] = bench().start_retrain(actor, recipe, changes, anyway, adapt).id
        st.toast("It has started: its progress is at the top of this page.", icon=":material/model_training:")
        st.session_state.pop("left", None)
    except LabError as error:
        say("error", literal(f"{error.what} {error.fix}"))


def _preview(plan: Plan, busy: bool) -> None:
    made = bench().preview_made()
    if made is None and not plan.known:
        st.caption("Nothing to compare with: what the champion was trained on is not known.")
        return
    if made is None and not plan.changes:
        st.caption("Relabel some prompts, and the prompts that would be answered otherwise stand here.")
        return
    if made is None and busy:
        st.caption("The retrain has both cores; the preview is made when it has ended.")
        return
    if made is None:
        bar = st.progress(0.0, "Two short refits, with and without the new labels …")
        try:
            made = bench().preview(lambda stage, done, of: bar.progress(min(1.0, done / max(1, of)), f"{stage} …"))
        except LabError as error:
            show_error(error)
            return
        finally:
            bar.empty()
    preview_view(made)


def _history(shown: Job | None) -> None:
    recent = bench().recent_jobs()
    if len(recent) < 2:
        return
    infos = bench().version_list()
    with st.expander(f"Earlier retrains · {len(recent)}", icon=":material/history:"):
        frame = pd.DataFrame(
            {
                "Started": [moment(one.created_at_utc) for one in recent], "By": [signed(one.who, one.verified) for one in recent], "State": [one.status for one in recent],
                "Version": [name_of(one.result["version"], infos) if "version" in one.result else "" for one in recent],
                "Gate": ["" if "verdict" not in one.result else "passed" if one.result["verdict"]["passed"] else "refused" for one in recent],
                "What": [one.error or STATES[one.status][1] for one in recent],
            }
        )  # fmt: skip

        def take() -> None:
            rows = st.session_state["earlier"]["selection"]["rows"]
            if rows:
                st.query_params["job"] = recent[rows[0]].id
                st.session_state.pop("left", None)

        st.dataframe(frame, hide_index=True, key="earlier", on_select=take, selection_mode="single-row")
        st.caption("Choose one to see it above; the address bar links to it.")


serve(render)
