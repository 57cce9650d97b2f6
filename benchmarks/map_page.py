"""A page of the Map's own chart with any number of points: the shipped map, drawn several times a little apart. For benchmarks/map_points.py."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from lab.evaluation import areas
from lab.evaluation.points import domain_places, tabulate
from lab.workbench import Workbench
from pages.shared.map_chart import prompts_option


@st.cache_data(show_spinner=False)
def points(n: int) -> pd.DataFrame:
    bench = Workbench()
    router = bench.router("lab-47")
    layout, index = bench.map_layout(router), bench.corpus_index(router.encoder_name)
    table = tabulate(index.rows, index.splits, layout.xy[layout.find([row.id for row in index.rows])], bench.out_of_fold("lab-47"), None)
    random = np.random.default_rng(0)
    more = table.iloc[random.integers(0, len(table), n)].reset_index(drop=True)
    return more.assign(x=more["x"] + random.normal(0, 0.05, n), y=more["y"] + random.normal(0, 0.05, n))


def drawn() -> None:
    st.session_state.chosen = areas.from_link(areas.to_link(st.session_state.chart["selection"]["areas"]))


st.set_page_config(layout="wide")
n = int(st.query_params.get("n", "50000"))
table = points(n)
every = np.ones(n, dtype=bool)
colouring = st.selectbox("Colour by", ["Domain", "Right or wrong"])


@st.cache_data(show_spinner=False)
def option(n: int, colouring: str) -> dict:
    return prompts_option(points(n), every, every, colouring, domain_places(points(n)), False)


st.echarts_chart(option(n, colouring), height=620, key="chart", on_select=drawn)
if st.session_state.get("chosen"):
    st.write(f"{int(areas.inside(st.session_state.chosen, table['x'].to_numpy(), table['y'].to_numpy()).sum())} prompts selected")
