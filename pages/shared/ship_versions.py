"""The table of versions, one version whole with what can be done with it, and who promoted what."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from lab.curation.state import Actor
from lab.errors import LabError
from lab.release.versions import Version
from lab.use_cases.registry import GATE, VersionInfo
from pages.shared import people
from pages.shared.curation_common import moments, when
from pages.shared.frame import bench, literal, show_error
from pages.shared.ship_common import NAME_FIRST, doing, labels, moment, name_of, promote, say, signed, verdict_view
from pages.shared.ship_job import decide, job_panel

PARTS = ("About", "Gate", "Records", "Files", "Take out")


def versions(actor: Actor | None) -> None:
    infos = bench().version_list()
    known = labels(infos)
    names = list(known)
    start = _named(st.query_params.get("version", ""), known)
    if "version_wanted" in st.session_state:
        st.session_state["version"] = _named(st.session_state.pop("version_wanted"), known)
    _table(known)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Version", names, names.index(start), key="version", width=320)
        if people.may("maintainer"):
            with st.popover("Import a router", icon=":material/upload:"):
                _import(actor)
    st.query_params["version"] = chosen
    _detail(chosen, known[chosen], infos, actor)


def _named(wanted: str, known: dict[str, VersionInfo]) -> str:
    """The version of a link, by name or the beginning of its id; else the one that serves."""
    found = [name for name, one in known.items() if name == wanted or (len(wanted) >= 6 and one.id.startswith(wanted))]
    return next(iter([*found, *(name for name, one in known.items() if one.champion), *known]))


def _table(known: dict[str, VersionInfo]) -> None:
    rows = []
    for name, one in known.items():
        about = one.version.about if isinstance(one.version, Version) else {}
        found = bench().measured(one.version)
        rows.append(
            {
                "": "●" if one.champion else "", "Version": name, "Top-1": round(found.top1, 3) if found else None, "Low": round(found.low, 3) if found else None,
                "High": round(found.high, 3) if found else None, "n": found.n if found else None,
                "Gate": "–" if one.verdict is None else "passed" if one.verdict.passed else "refused", "Problems": "; ".join(map(str, one.problems)),
                "Made": moment(about.get("made_at_utc")), "By": signed(about.get("who"), about.get("verified")), "Origin": about.get("origin", ""), "Id": one.id[:12],
                "Test": found.data_sha256[:8] if found else "",
            }
        )  # fmt: skip
    frame = pd.DataFrame(rows)
    if not frame["Problems"].any():
        frame = frame.drop(columns="Problems")

    def take() -> None:
        picked = st.session_state["version-table"]["selection"]["rows"]
        if picked:
            st.session_state["version_wanted"] = known[list(known)[picked[0]]].id

    percent = st.column_config.NumberColumn(format="percent", width=70)
    st.dataframe(
        frame, hide_index=True, height=min(36 * (len(frame) + 1) + 2, 320), key="version-table", on_select=take, selection_mode="single-row",
        column_config={
            "": st.column_config.TextColumn(width=30, help="● serves"), "n": st.column_config.NumberColumn(width=60), "Made": st.column_config.TextColumn(width=150), "By": st.column_config.TextColumn(width=130),"Top-1": percent, "Low": percent, "High": percent,
            "Test": st.column_config.TextColumn(width=80, help="Hash of the test prompts; figures with another hash were measured on another set"),
        },
    )  # fmt: skip
    st.caption("● serves. Top-1 and its 95 % interval are of each version's own report on the test prompts of that time; Compare measures two on the same.")


def _import(actor: Actor | None) -> None:
    st.markdown("The three files of a router, or one zip of them. What they do not prove is listed with the version.")
    given = st.file_uploader("Files", ["zip", "safetensors", "json"], accept_multiple_files=True, key="router-files")
    name = st.text_input("Name", key="router-name", max_chars=60, placeholder="how it is called here")
    if st.button("Import", type="primary", icon=":material/upload:", disabled=not given or actor is None, help=NAME_FIRST if actor is None else None, key="import"):
        try:
            made = bench().import_upload(actor, {one.name: one.getvalue() for one in given}, name)
        except LabError as error:
            show_error(error)
            return
        unknown = made.about.get("unknown", [])
        say("success", literal(f"Imported as {made.about.get('name')} ({made.short})." + (f" Not known: {'; '.join(unknown)}." if unknown else "")))
        st.session_state["version_wanted"] = made.id
        st.rerun()


def _detail(name: str, info: VersionInfo, infos: list[VersionInfo], actor: Actor | None) -> None:
    mark = " · serves" if info.champion else ""
    st.subheader(f"{literal(name)}{mark}", anchor=False)
    if info.problems:
        st.error("This version is damaged; the champion keeps serving. " + literal("; ".join(map(str, info.problems))), icon=":material/broken_image:")
        return
    _actions(info, infos, actor)
    part = st.segmented_control("Part", PARTS, default=PARTS[0], required=True, key="part", bind="query-params", label_visibility="collapsed")
    {"About": _about, "Gate": _gate, "Records": _records, "Files": _files, "Take out": _take_out}[part](info, infos, actor)


def _actions(info: VersionInfo, infos: list[VersionInfo], actor: Actor | None) -> None:
    champion = next(one for one in infos if one.champion)
    served = {one.version for one in bench().promotion_history()}
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Verify", icon=":material/fingerprint:", key="verify", help="Compute the hash of every file again"):
            wrong = bench().verify_version(info.id)
            if wrong:
                st.error(literal("; ".join(map(str, wrong))), icon=":material/broken_image:")
            else:
                st.success(f"Every file has its hash; the manifest gives `{info.id[:12]}`.", icon=":material/verified:")
        if info.id == champion.id or not people.may("maintainer"):
            return
        off = {"disabled": actor is None, "help": NAME_FIRST if actor is None else None}
        if info.id in served:
            with st.popover("Roll back to it", icon=":material/settings_backup_restore:", **off):
                st.markdown(f"**{literal(champion.name)}** serves now. This version has served before: it serves again at once, in every session.")
                reason = st.text_input("Why (kept)", key="rollback-reason", max_chars=300)
                st.button("Roll back", type="primary", key="rollback", on_click=doing(promote, actor, info.id, champion.id, reason or ""))


def _about(info: VersionInfo, infos: list[VersionInfo], actor: Actor | None) -> None:
    version = info.version
    assert isinstance(version, Version)
    router, about = version.router, version.about
    found = bench().measured(version)
    cells = st.columns(4)
    cells[0].metric("Top-1", f"{found.top1:.1%}" if found else "–")
    cells[0].caption(f"{found.low:.1%} to {found.high:.1%}, n {found.n:,}" if found else "nothing was measured")
    cells[1].metric("Macro-F1", f"{found.macro_f1:.3f}" if found else "–")
    cells[2].metric("Domains", f"{len(router.domains)}")
    cells[2].caption(f"{router.parameters:,} parameters")
    recipe = router.ours.get("recipe") or {}
    cells[3].metric("Recipe", recipe.get("name", "–"))
    cells[3].caption(f"{recipe['epochs']} epochs, seed {recipe['seed']}" if recipe else "not known")
    chain = bench().lineage_of(info.id)
    st.markdown("**Lineage** " + " ← ".join(literal(name_of(one.id, infos)) if isinstance(one, Version) else f"`{one[:12]}` (not here)" for one in chain))
    if about.get("unknown"):
        st.warning("Not known of this version:\n" + "\n".join(f"- {literal(str(one))}" for one in about["unknown"]), icon=":material/help:")
    if version.snapshot:
        sides = ", ".join(f"{side} {n:,}" for side, n in version.snapshot.composition["split_rows"].items())
        st.caption(f"Trained on revision “{literal(version.snapshot.revision)}”: corpus `{version.snapshot.corpus_sha256[:12]}`, split `{version.snapshot.split_sha256[:12]}`, {sides}.")
    rows = {"id": version.id, "weights sha256": router.sha256, "encoder": router.ours.get("encoder_id") or router.encoder_name, **{str(key): value for key, value in about.items() if key != "unknown"}}
    frame = pd.DataFrame({"Field": list(rows), "Value": [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in rows.values()]})
    st.dataframe(frame, hide_index=True, key="about", column_config={"Value": st.column_config.TextColumn(width="large")})
    st.page_link("pages/scorecard.py", label="Its scorecard", icon=":material/monitoring:", query_params={"router": info.name})


def _gate(info: VersionInfo, infos: list[VersionInfo], actor: Actor | None) -> None:
    running = [one for one in bench().open_jobs() if one.kind == GATE]
    if running:
        job_panel(running[0], actor)
        return
    if info.verdict:
        verdict = info.verdict
        verdict_view(verdict, infos, lambda: decide(verdict, actor, "models"))
    else:
        st.info("It has served, or serves, without a verdict of the gate here." if info.champion else "It was not held against the gate yet.", icon=":material/gavel:")
    if info.champion or not people.may("maintainer"):
        return
    label = "Run the gate again" if info.verdict else "Run the gate"
    if st.button(label, icon=":material/gavel:", disabled=actor is None, key="gate", help=NAME_FIRST if actor is None else "Against the champion, on the frozen test side as it is now"):
        try:
            bench().start_gate(actor, info.id)
        except LabError as error:
            say("error", literal(f"{error.what} {error.fix}"))
        st.rerun()


@st.cache_data(max_entries=8, show_spinner="Computing every figure …")
def _made(version_id: str, promotions: int, provider: float) -> dict[str, str]:
    return bench().version_records(version_id)


def _records(info: VersionInfo, infos: list[VersionInfo], actor: Actor | None) -> None:
    try:
        made = _made(info.id, len(bench().promotion_history()), bench().home.provider.stat().st_mtime)
    except LabError as error:
        show_error(error)
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = st.selectbox("Record", list(made), key="record", bind="query-params", width=320)
        st.download_button("This one", made[which], which, "text/plain", icon=":material/download:", on_click="ignore")
        st.download_button("All", lambda: bench().records_zip(info.id), f"records-{info.id[:12]}.zip", "application/zip", icon=":material/folder_zip:", on_click="ignore")
    st.caption("Every figure is computed from this version; a record in which one differed would be refused. What only the provider knows comes from models/provider.yaml.")
    st.code(made[which], language="json" if which.endswith(".json") else "markdown", wrap_lines=True, height=420)
    with st.expander("Hold an earlier record against this version", icon=":material/difference:"):
        given = st.file_uploader("Earlier records", ["md", "json", "txt"], accept_multiple_files=True, key="earlier-records")
        if not given:
            return
        try:
            found = bench().diff_version_records(info.id, {one.name: one.getvalue().decode("utf-8", "replace") for one in given})
        except LabError as error:
            show_error(error)
            return
        if not found:
            st.success("It contradicts neither this version nor itself.", icon=":material/verified:")
            return
        st.warning(f"{len(found)} contradictions.", icon=":material/difference:")
        frame = pd.DataFrame(
            {
                "Figure": [one.name for one in found], "Stated": [" / ".join("nothing" if value is None else str(value) for value in one.stated) for one in found],
                "Computed": ["" if one.computed is None else str(one.computed) for one in found], "In words": [one.sentence for one in found],
            }
        )  # fmt: skip
        st.dataframe(frame, hide_index=True, key="contradictions", column_config={"In words": st.column_config.TextColumn(width="large")})


def _files(info: VersionInfo, infos: list[VersionInfo], actor: Actor | None) -> None:
    assert isinstance(info.version, Version)
    files = info.version.files
    frame = pd.DataFrame({"File": list(files), "Bytes": [size for _, size in files.values()], "sha256": [digest for digest, _ in files.values()]})
    st.dataframe(frame, hide_index=True, key="files", column_config={"Bytes": st.column_config.NumberColumn(format="localized"), "sha256": st.column_config.TextColumn(width="large")})
    st.caption("The version's id is the sha256 of its manifest, which holds these hashes: nothing in it can change and keep its name.")


def _take_out(info: VersionInfo, infos: list[VersionInfo], actor: Actor | None) -> None:
    try:
        data = bench().gateway_zip(info.id)
    except LabError as error:
        show_error(error)
        return
    st.markdown("**For a gateway**: router.safetensors, meta.json and label\\_map.json, as it reads them.")
    loss = bench().plain_loss(info.id)
    if loss:
        st.caption(f"Its n-grams come along in a file of their own. {literal(loss)}")
    st.download_button("Zip for a gateway", data, f"{info.name}.zip", "application/zip", icon=":material/folder_zip:", on_click="ignore")
    if not people.may("maintainer"):
        return
    st.markdown("**To the Hugging Face Hub**: every file of the version with its records, as one commit. The token is that of `hf auth login` or `HF_TOKEN` on this machine.")
    with st.form("push", border=False, width=520):
        repository = st.text_input("Repository", placeholder="owner/name", max_chars=96)
        public = st.checkbox("Make a new repository public")
        if st.form_submit_button("Push", icon=":material/cloud_upload:", disabled=actor is None):
            try:
                with st.spinner("Pushing …"):
                    done = bench().push_version(actor, info.id, repository.strip(), not public)
                st.success(literal(f"{done.repository}, commit {done.commit[:12]}."), icon=":material/cloud_done:")
            except LabError as error:
                show_error(error)


def promotions(actor: Actor | None) -> None:
    infos, history = bench().version_list(), bench().promotion_history()
    frame = pd.DataFrame(
        {
            "#": [one.number for one in history], "When": moments([one.at_utc for one in history]), "Who": [signed(one.who, one.verified) for one in history],
            "What": ["rolled back to" if one.action == "rollback" else "promoted" for one in history], "Version": [name_of(one.version, infos) for one in history],
            "Instead of": [name_of(one.replaced, infos) if one.replaced else "" for one in history],
            "Gate": [_gate_word(one.verdict) for one in history], "Why": [one.reason for one in history],
        }
    )  # fmt: skip
    st.dataframe(frame, hide_index=True, key="promotions", column_config={"#": st.column_config.NumberColumn(width=40), "When": when(), "Why": st.column_config.TextColumn(width="large")})
    st.caption("Newest first; nothing is ever taken out of this list.")


def _gate_word(verdict) -> str:
    if not verdict or not verdict.get("verdict"):
        return ""
    given = verdict.get("override")
    return "passed" if verdict["verdict"]["passed"] else f"refused: {', '.join(given['failed'])}; overridden" if given else "refused"
