"""Try a prompt: one prompt's way through one router or two, or many prompts at once."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from lab.router.calibrate import TARGETS
from lab.text.prepare import fault
from lab.workbench import Route
from pages.shared.fix import fix
from pages.shared.frame import bench, literal, plot_text, query_default, serve
from pages.shared.many import many
from pages.shared.picks import picks

EXAMPLES = (
    "how do I flash my STM32 over SWD?",
    "Calculer la section de câble pour 32 A selon la NF C 15-100",
    "my compose volumes are empty on mac",
    "t'as passé un bon week-end ?",
    "Summarise this article about Docker in five bullets",
    "ngspice says timestep too small, what now",
    "Traduis ce paragraphe de datasheet en anglais",
    "the thing from yesterday still does not work",
)
LINK_CHARS = 1_500
ACCEPT, ABSTAIN, OTHER, RAW = "#0072b2", "#d55e00", "#8a94a3", "#b8860b"


def render() -> None:
    st.header("Try a prompt", anchor=False)
    router, other, k, target, guard = _settings()
    if guard:
        known_ground(router)
    one, several = st.tabs(["One prompt", "Many prompts"], key="tab", bind="query-params", on_change="rerun")
    if several.open:
        with several:
            many(router, target, guard)
    else:
        with one:
            _one(router, other, k, target, guard)


def _one(router: str, other: str | None, k: int, target: float, guard: bool) -> None:
    text = _input()
    if not text.strip():
        st.info("Type a prompt above, or pick an example.", icon=":material/keyboard:")
        return
    routes = [bench().route(text, name, k, target, guard) for name in (router, other) if name]
    _notes(text, routes[0])
    columns = st.columns(2 if other else [3, 2], gap="large")
    for column, route in zip(columns, routes, strict=False):
        with column:
            _verdict(route, alone=other is None, text=text if route is routes[0] else "")
            st.plotly_chart(
                bars(route), width="stretch", config={"displayModeBar": False}, key=f"bars-{route.router}", alt=_in_words(route)
            )
            _reason(route)
    if other:
        _difference(*routes)
        columns = st.columns(2, gap="large")
    for column, route in zip(columns if other else columns[1:], routes, strict=True):
        with column:
            _words(text, route)
    picks(text)
    _neighbours(text, routes[0])
    _binding(routes)


def _input() -> str:
    """The prompt, kept in the address bar while it is short enough for a link."""
    query_default("q", EXAMPLES[0])
    st.pills("Examples", EXAMPLES, key="example", format_func=literal, on_change=_take_example, label_visibility="collapsed", wrap=False)
    if st.session_state.setdefault("lines", "\n" in st.session_state.q):
        text = st.text_area("Prompt", key="q", height=140, persist_state="session", label_visibility="collapsed")
    else:
        text = st.text_input(
            "Prompt",
            key="q",
            live="200ms",
            autocomplete="off",
            icon=":material/bolt:",
            persist_state="session",
            label_visibility="collapsed",
        )
    if text and len(text) <= LINK_CHARS and fault(text) is None:
        st.query_params["q"] = text
    elif "q" in st.query_params:
        del st.query_params["q"]
    return text or ""


def _take_example() -> None:
    if st.session_state.example:
        st.session_state.q = st.session_state.example
        st.session_state.example = None


def _settings() -> tuple[str, str | None, int, float, bool]:
    names = bench().router_names()
    with st.sidebar:
        router = st.selectbox("Router", names, key="router", bind="query-params", persist_state="session")
        others = [name for name in names if name != router]
        other = st.selectbox(
            "Compare with", others, index=None, placeholder="nothing", key="with", bind="query-params", persist_state="session"
        )
        k = st.number_input("Domains shown", 1, 47, 5, key="k", bind="query-params", persist_state="session")
        target = st.select_slider(
            "Abstain below precision",
            TARGETS,
            value=0.90,
            format_func=lambda value: f"{value:.0%}",
            key="target",
            bind="query-params",
            persist_state="session",
            help="The router answers only where it was right at least this often on its validation prompts.",
        )
        guard = st.toggle(
            "Abstain on unknown ground",
            value=True,
            key="guard",
            bind="query-params",
            persist_state="session",
            help="Also abstain when a prompt is unlike every training prompt. 95 % of known prompts pass; of prompts from elsewhere it stops "
            "about a third (README), so it is a help, not a guarantee.",
        )
        st.toggle(
            "Prompt of several lines", key="lines", persist_state="session", help="Ctrl+Enter routes. The single line routes as you type."
        )
    return router, other, int(k), float(target), guard


def _notes(text: str, route: Route) -> None:
    row = bench().in_corpus(text)
    if row:
        side = bench().frozen_split.get(row.id, "no side")
        st.caption(
            f":material/school: This prompt is in the corpus as **{literal(row.domain)}** ({side} side): the score may flatter the router."
        )
    if route.cut:
        st.caption(":material/content_cut: Over 1 000 characters the gateway routes the first and the last 256. So does the lab.")


def _verdict(route: Route, alone: bool, text: str) -> None:
    if not alone:
        st.caption(f"Router {literal(route.router)}")
    top, score, probability = route.domains[0]
    answered = route.decision.domain is not None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(literal(top), anchor=False, width="content")
        if answered:
            st.badge("accepts", icon=":material/check_circle:", color="blue")
        else:
            st.badge("abstains", icon=":material/front_hand:", color="orange")
        if text:  # beside the first router only: there is one label to mend
            fix(text, route)
    backend = route.backend or route.would_be_backend
    verb = "Answered by" if answered else "Would be answered by"
    place = f"{verb} **{literal(backend)}**" if backend else "No backend is mapped to this domain"
    st.markdown(place + (f" · specialist {literal(route.specialist)}" if route.specialist and alone else ""))
    cells = st.columns([4, 4, 4, 6] if alone else 3, gap="small")  # the last holds "120 ms"
    claimed = "–" if probability is None else f"{probability:.0%}"
    calibrated = (
        "Probability that the first domain is right, calibrated on validation prompts: of prompts with this figure, about this share is."
    )
    cells[0].metric("Probability" if alone else "P(right)", claimed, help=calibrated)
    cells[1].metric("Margin", f"{route.margin:.0%}", help="Distance to the second domain.")
    cells[2].metric(
        "Raw score" if alone else "Raw", f"{score:.2f}", help="The sigmoid that the gateway compares with 0.50. Not a probability."
    )
    if alone:
        cells[3].metric(
            "Time",
            f"{route.timings_ms['total']:.{0 if route.timings_ms['total'] >= 10 else 1}f} ms",
            help="Prepare, encode and score on this machine.",
        )


def known_ground(router: str) -> None:
    """The corpus's vectors, with a bar where they have to be computed first."""
    bar = st.empty()
    bench().corpus_index(
        bench().router(router).encoder_name,
        lambda stage, done, of: bar.progress(done / of, f"{stage}: {done:,} of {of:,} (once on this machine)"),
    )
    bar.empty()


def _reason(route: Route) -> None:
    gateway = ", ".join(f"{domain} {value:.2f}" for domain, value in route.selections) or "nothing, no score reaches 0.50"
    reason = route.decision.reason[0].upper() + route.decision.reason[1:]
    st.caption(literal(f"{reason}. The gateway (score ≥ 0.50, at most 4) selects: {gateway}."))


def _binding(routes: list[Route]) -> None:
    """What every figure above belongs to."""
    names = " and ".join(f"{route.router} `{route.router_sha256[:12]}`" for route in routes)
    st.caption(
        f"Router {names} · encoder `{routes[0].encoder_id}` {routes[0].precision} · detected language {routes[0].language} · the address bar links to this view"
    )


def _in_words(route: Route) -> str:
    """The chart as a sentence, for people who do not see it."""
    return "Top domains: " + ", ".join(f"{d} {s:.2f}" if p is None else f"{d} {p:.0%}" for d, s, p in route.domains)


def bars(route: Route) -> go.Figure:
    """Top-k domains: probability as bars, raw score as diamonds, the threshold as a line."""
    calibrated = route.domains[0][2] is not None
    values = [score if probability is None else probability for _, score, probability in route.domains]
    labels = [
        f"{plot_text(domain)}  <b>{value:.0%}</b>" if calibrated else f"{plot_text(domain)}  <b>{value:.2f}</b>"
        for (domain, _, _), value in zip(route.domains, values, strict=True)
    ]
    colour = ABSTAIN if route.decision.abstained else ACCEPT
    figure = go.Figure()
    figure.add_bar(
        y=labels,
        x=values,
        orientation="h",
        name="probability" if calibrated else "raw score",
        marker_color=[colour, *[OTHER] * (len(values) - 1)],
        hovertemplate="%{y}<extra></extra>",
    )
    if calibrated:
        figure.add_scatter(
            y=labels,
            x=[score for _, score, _ in route.domains],
            mode="markers",
            name="raw score",
            marker={"symbol": "diamond-open", "size": 9, "color": RAW, "line": {"width": 2}},
            hovertemplate="raw score %{x:.3f}<extra></extra>",
        )
    if route.decision.threshold < 1:
        figure.add_vline(
            x=route.decision.threshold,
            line={"dash": "dash", "width": 2, "color": colour},
            annotation={"text": f"threshold {route.decision.threshold:.2f}", "yref": "paper", "y": 1.0, "yanchor": "bottom"},
        )
    figure.update_layout(
        height=92 + 32 * len(values),
        margin={"l": 10, "r": 40, "t": 28, "b": 30},
        legend={"orientation": "h", "y": -0.02, "yanchor": "top", "x": 0},
        bargap=0.35,
        showlegend=calibrated,
    )
    figure.update_xaxes(range=[0, 1.04], showticklabels=False, zeroline=True)
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def _words(text: str, route: Route) -> None:
    top = route.domains[0][0]
    st.markdown(
        f"**Words that drive “{literal(top)}”**", help="Each word is left out once; the bar is what the domain's logit loses without it."
    )
    found = bench().explain(text, route.router, top)
    if not found:
        st.caption("One word: nothing to leave out.")
        return
    strongest = sorted(sorted(found, key=lambda piece: -abs(piece.effect))[:10], key=lambda piece: piece.start)
    figure = go.Figure(
        go.Bar(
            x=[piece.effect for piece in strongest],
            y=list(range(len(strongest))),
            orientation="h",
            marker_color=[ACCEPT if piece.effect >= 0 else ABSTAIN for piece in strongest],
            text=[f"{piece.effect:+.2f}" for piece in strongest],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    figure.update_layout(height=60 + 28 * len(strongest), margin={"l": 10, "r": 50, "t": 10, "b": 20}, bargap=0.3)
    figure.update_yaxes(
        autorange="reversed",
        automargin=True,
        tickvals=list(range(len(strongest))),
        ticktext=[plot_text(piece.text, 24) for piece in strongest],
    )
    widest = max(abs(piece.effect) for piece in strongest) or 1.0
    low = min(0.0, *(piece.effect for piece in strongest))
    figure.update_xaxes(
        range=[low - 0.25 * widest if low < 0 else 0, 1.25 * max(widest * 0.2, *(piece.effect for piece in strongest))], zeroline=True
    )
    spoken = "Effect of each word: " + ", ".join(f"{piece.text[:24]} {piece.effect:+.2f}" for piece in strongest)
    st.plotly_chart(figure, width="stretch", config={"displayModeBar": False}, key=f"words-{route.router}", alt=spoken)
    st.caption(
        f"Logit with the word minus without it, in reading order{'; the ten strongest' if len(found) > 10 else ''}. + speaks for the domain."
    )


def _difference(first: Route, second: Route) -> None:
    a, b = first.domains[0][0], second.domains[0][0]
    canonical = bench().taxonomy.canonical
    if canonical(a) == canonical(b):
        st.caption(f":material/equal: Both routers rank **{literal(a)}** first.")
    elif not bench().backends.costs(canonical(a), canonical(b)):
        st.caption(f":material/call_split: They differ ({literal(a)}, {literal(b)}), but one backend answers both: no cost.")
    else:
        st.caption(f":material/call_split: They differ (**{literal(a)}**, **{literal(b)}**) and different backends would answer.")


def _neighbours(text: str, route: Route) -> None:
    st.markdown("**Nearest labelled prompts**", help="Exact search over the corpus in the encoder's space. Cosine 1 is the same direction.")
    known_ground(route.router)
    found = bench().neighbours(text, route.router, 5)
    table = pd.DataFrame(
        [
            {
                "Similarity": one.cosine,
                "Domain": one.row.domain,
                "Also": ", ".join(one.row.also),
                "Prompt": one.row.text,
                "Language": one.row.lang,
                "Side": one.split,
            }
            for one in found
        ]
    )
    st.dataframe(
        table,
        hide_index=True,
        key="neighbours",
        column_config={
            "Similarity": st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1, width="small"),
            "Prompt": st.column_config.TextColumn(width="large"),
            "Domain": st.column_config.TextColumn(width="small"),
            "Also": st.column_config.TextColumn(width="small"),
            "Language": st.column_config.TextColumn(width="small"),
            "Side": st.column_config.TextColumn(width="small", help="train, valid or test side of the frozen split"),
        },
    )


serve(render)
