"""The labelling desk in a real browser, on a store of its own (desk_harness.py): nothing lost, nothing doubled, by keyboard alone."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.axe import serious

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "pages" / "shared" / "desk"
NAMES = [one["name"] for one in json.loads((PROJECT / "models" / "taxonomy.json").read_text(encoding="utf-8"))["domains"]]


class Server:
    """The harness on one port; it can be killed and started again on the same database."""

    def __init__(self, path: Path) -> None:
        self.database = path
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "streamlit", "run", "tests/e2e/desk_harness.py", "--server.port", str(self.port)]
        command += ["--server.address", "127.0.0.1"]
        with (self.database.parent / "log.txt").open("a") as log:
            environment = os.environ | {"DESK_DB": str(self.database)}
            self.process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{self.base}/_stcore/health", timeout=1)
                return
            except OSError:
                assert self.process.poll() is None, (self.database.parent / "log.txt").read_text()
                time.sleep(0.25)
        raise RuntimeError("the harness did not start")

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)

    def rows(self, sql: str, *values) -> list[tuple]:
        with sqlite3.connect(self.database, timeout=10) as db:
            return db.execute(sql, values).fetchall()

    def events(self) -> list[tuple]:
        return self.rows("select id, action, after, session, seq from events order by rowid")

    def change(self, prompt_id: str, domain: str, done: int) -> None:
        """Somebody else decides."""
        state = json.dumps({"domain": domain, "also": [], "routable": True, "flagged": False})
        self.rows("update labels set state=?, done=? where id=?", state, done, prompt_id)

    def state(self, prompt_id: str) -> dict:
        return json.loads(self.rows("select state from labels where id=?", prompt_id)[0][0])


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """Started once; every test wipes its database."""
    server = Server(tmp_path_factory.mktemp("desk") / "desk.sqlite")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(shared_server):
    if shared_server.process.poll() is not None:
        shared_server.start()
    if shared_server.database.exists():
        shared_server.rows("delete from events")
        shared_server.rows("drop table labels")
    return shared_server


class Tab:
    """One tab on the desk. A script error, a dialog or a request that leaves this machine fails the test."""

    def __init__(self, browser, server: Server, theme: str = "light", width: int = 1280, height: int = 900) -> None:
        self.server, self.faults = server, []
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.faults.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: None if request.url.startswith((server.base, "data:", "blob:")) else self.faults.append(request.url))

    def open(self, query: str = ""):
        self.page.goto(f"{self.server.base}/{query}")
        self.page.locator("#nine li button").first.wait_for()
        return self

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def pick_text(self, n: int) -> str:
        return self.page.locator(f"#nine li:nth-child({n}) .name").inner_text()

    @property
    def prompt(self) -> str:
        return self.page.locator("#prompt").inner_text()

    def saved(self) -> None:
        expect(self.page.locator("#status")).to_contain_text("All saved")


@pytest.fixture
def tab(browser, server):
    made: list[Tab] = []

    def start(query: str = "", **options) -> Tab:
        made.append(Tab(browser, server, **options))
        return made[-1].open(query)

    yield start
    for one in made:
        one.context.close()
        assert not one.faults, one.faults


BURST = """([count, gap, keys = "123456789"]) => new Promise((done) => {
  const root = document.querySelector("[data-testid=stBidiComponentIsolated]").shadowRoot;
  const prompt = root.getElementById("prompt");
  const script = [], handled = [], painted = [];
  let n = 0;
  const start = performance.now();
  const step = () => {
    const text = prompt.textContent, key = keys[n % keys.length];
    const main = root.getElementById("main");
    const row = /[1-9]/.test(key) ? root.querySelector(`#nine li:nth-child(${key}) .name`).textContent : "";
    script.push([text, row, main.hidden]);
    const before = performance.now();
    window.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    if (prompt.textContent !== text) handled.push(performance.now() - before);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => painted.push(performance.now() - before);
    requestAnimationFrame(() => port2.postMessage(0));  // answered after the frame is painted
    n += 1;
    const took = performance.now() - start;
    if (n < count) setTimeout(step, Math.max(0, start + gap * n - performance.now()));
    else setTimeout(() => done({ script, handled, painted, took }), 300);
  };
  step();
})"""


def too_slow(words: str) -> None:
    """A budget is missed. A machine that works on other things at the same time cannot tell whose fault it is."""
    load = os.getloadavg()[0]
    if load > 1.5 * (os.cpu_count() or 1):
        pytest.skip(f"NOT MEASURED, the machine is busy (load {load:.1f}): {words}")
    raise AssertionError(words)


def check_burst(server: Server, script: list) -> None:
    """Every key of the burst is one event, on the prompt that was shown, with the domain that was printed on the key."""
    texts = dict(server.rows("select id, text from labels"))
    stored = [(texts[one[0]], json.loads(one[2])["domain"]) for one in server.events()]
    assert stored == [(text, domain) for text, domain, _ in script]
    assert len({one[0] for one in server.events()}) == len(script)


def wait_for(condition, limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_100_keys_30_ms_apart_are_100_labels_once_on_the_right_prompts(tab, server):
    desk = tab()
    told = desk.page.evaluate(BURST, [100, 30])
    wait_for(lambda: len(server.events()) >= 100, 40)
    desk.saved()
    check_burst(server, told["script"])
    assert not any(hidden for *_, hidden in told["script"]), "the desk was empty while prompts were waiting"
    handled = sorted(told["handled"])
    print(f"\n{100_000 / told['took']:.0f} keys/s; key → next prompt drawn: n=100 p50={handled[50]:.1f} ms p95={handled[95]:.1f} ms, max={handled[-1]:.1f} ms")


def test_the_next_prompt_is_on_the_screen_within_50_ms(tab):
    desk = tab()
    for _ in range(3):  # the best of three: another process's burst is not the desk's
        idle = sorted(desk.page.evaluate(BURST, [20, 60, "z"])["painted"])[18]  # a key that does nothing: what this machine takes for a frame
        delays = sorted(desk.page.evaluate(BURST, [40, 120])["painted"])
        print(f"\nkey → next prompt painted: n={len(delays)} p50={delays[20]:.1f} ms p95={delays[-3]:.1f} ms; an idle frame: p95={idle:.1f} ms")
        if delays[-3] <= max(50, idle + 30):
            return
    too_slow(f"p95 is {delays[-3]:.0f} ms; a key that does nothing: {idle:.0f} ms")


MET = """() => {
  const root = document.querySelector("[data-testid=stBidiComponentIsolated]").shadowRoot;
  window.met = [];
  window.addEventListener("keydown", ({ key }) => {
    if (root.getElementById("main").hidden) return;
    window.met.push([root.getElementById("prompt").textContent, root.querySelector(`#nine li:nth-child(${key}) .name`).textContent, false]);
  }, true);
}"""


def test_the_real_keyboard_as_fast_as_it_goes(tab, server):
    """Every key that met a prompt is one label of that prompt; one that met an empty desk, because the server is slower than the hand, is none."""
    desk = tab()
    desk.page.evaluate(MET)  # what was on the screen at each key
    start, sent, met = time.perf_counter(), 0, 0
    while met < 100:
        for _ in range(100 - met):
            desk.page.keyboard.press(str(1 + sent % 9))
            sent += 1
        met = desk.page.evaluate("window.met.length")
        desk.page.locator("#main").wait_for()
    print(f"\n{sent / (time.perf_counter() - start):.0f} keys/s from the keyboard; {sent - met} met an empty desk")
    wait_for(lambda: len(server.events()) >= 100, 60)
    desk.saved()
    check_burst(server, desk.page.evaluate("window.met"))


def test_a_server_slower_than_the_repeat_of_a_message_does_not_starve_the_desk(browser):
    """An answer to a message that was sent again meanwhile brings its prompts all the same."""
    page = browser.new_page()
    page.set_content((FOLDER / "desk.html").read_text(encoding="utf-8"))
    parts = "\n".join((FOLDER / f"{part}.js").read_text(encoding="utf-8") for part in ("base", "outbox", "search", "near", "view", "desk"))
    page.add_script_tag(content=parts.replace("export default function", "function mount"))
    told = page.evaluate(
        """() => {
          const about = { n: 0, session: "", actor: "Ada", queue: "q", readOnly: false, blind: false, model: null, left: 400, hash: "h", domains: ["a"], guidelines: {} };
          const item = (n) => ({ id: `p${n}`, text: `${n}`, state: { domain: "a", also: [], routable: true, flagged: false }, candidates: [["a", 0.9]] });
          const items = (from, to) => Array.from({ length: to - from }, (_, n) => item(from + n));
          const desk = new Desk(document, about), sent = [];
          desk.post = (message) => sent.push(message);
          desk.receive({ ...about, static: about });
          desk.outbox.flush(true);
          const answer = (n, from, to) => desk.receive({ ...about, n, session: desk.outbox.session, items: items(from, to), ids: [], all: false, left: 400,
            outcomes: sent[n - 1].events.map((one) => ({ session: one.session, seq: one.seq, status: "stored", state: one.seen })) });
          answer(1, 0, 20);
          const decide = () => desk.decide("keep", null, "Kept");
          decide();                        // message 2
          for (let n = 3; n < 6; n += 1) {
            desk.outbox.sentAt -= 3000;    // three seconds later nobody has answered: it is sent again, with what was decided meanwhile
            decide();
            answer(n - 1, 20 * (n - 2), 20 * (n - 1));
          }
          return { asked: sent.map((one) => one.want), shelf: desk.shelf.map((one) => one.id), waiting: desk.outbox.waiting.size };
        }"""
    )
    page.close()
    assert told["asked"][0] == 80
    assert told["shelf"] == [f"p{n}" for n in range(4, 80)], "three answers, each one message behind, have brought sixty prompts"
    assert told["waiting"] == 1


def test_a_label_is_stored_within_half_a_second(tab, server):
    desk = tab()
    for _ in range(4):
        delays = sorted(stored_after(desk, server) for _ in range(15))
        print(f"\nkey → stored: n=15 p50={delays[7]:.0f} ms max={delays[-1]:.0f} ms")
        if delays[13] <= 500:  # p95
            return
    too_slow(f"p95 is {delays[13]:.0f} ms")


def stored_after(desk: Tab, server: Server) -> float:
    """Milliseconds from a key to its row in the database."""
    desk.saved()
    before, start = len(server.events()), time.perf_counter()
    desk.press("1")
    while len(server.events()) == before:
        time.sleep(0.005)
    return 1000 * (time.perf_counter() - start)


def test_a_reload_in_the_middle_loses_and_doubles_nothing(tab, server):
    desk = tab()
    for n in range(30):
        desk.page.keyboard.press(str(1 + n % 9))
    desk.page.reload()
    desk.page.locator("#nine li button").first.wait_for()
    wait_for(lambda: len(server.events()) >= 30)
    desk.saved()
    assert desk.prompt.startswith("Prompt 30:")
    for _ in range(10):
        desk.page.keyboard.press("2")
    wait_for(lambda: len(server.events()) >= 40)
    desk.saved()
    assert [one[0] for one in server.events()] == [f"p{n:03d}" for n in range(40)]


def test_a_server_killed_in_a_burst_and_started_again_has_every_label_once(tab, server):
    desk = tab()
    for n in range(60):
        if n == 15:
            wait_for(server.events)
        if n == 30:
            server.kill()
        desk.press(str(1 + n % 9))
    status = desk.page.locator("#status")
    expect(status).to_contain_text("kept here, will be sent")
    acknowledged = 60 - int(re.search(r"(\d+) decision", status.inner_text())[1])
    stored = len(server.events())
    assert acknowledged <= stored < 60, "what the curator was told to be saved is in the database"
    start = time.monotonic()
    server.start()
    wait_for(lambda: len(server.events()) >= 60, 60)
    print(f"\n{stored} stored before kill -9, {acknowledged} of them acknowledged; complete {time.monotonic() - start:.1f} s after the restart began")
    desk.saved()
    assert [one[0] for one in server.events()] == [f"p{n:03d}" for n in range(60)]
    desk.press("1")
    wait_for(lambda: len(server.events()) >= 61)


def test_what_a_closed_tab_could_not_send_goes_with_the_next_visit(tab, server):
    desk = tab()
    server.kill()
    desk.press("1", "2", "3")
    expect(desk.page.locator("#status")).to_contain_text("3 not yet saved")
    server.start()
    page = desk.context.new_page()
    desk.page.close()
    page.goto(server.base)
    wait_for(lambda: len(server.events()) >= 3, 30)
    assert [one[0] for one in server.events()] == ["p000", "p001", "p002"]


def test_undo_redo_and_undo_of_an_earlier_one(tab, server):
    desk = tab()
    given = server.state("p000")
    first, chosen = desk.prompt, desk.pick_text(2)
    desk.press("2", "u")
    assert desk.prompt == first
    desk.saved()
    assert server.state("p000") == given
    desk.press("u")
    assert desk.prompt != first
    desk.saved()
    assert server.state("p000")["domain"] == chosen
    desk.press("u")
    desk.saved()
    assert server.state("p000") == given
    desk.press("3", "4")
    desk.saved()
    desk.page.locator("#recent li", has_text="onerror").first.get_by_role("button").click()
    desk.saved()
    assert server.state("p000") == given
    assert desk.prompt == first
    assert [one[1] for one in server.events()] == ["label", "undo", "undo", "undo", "label", "label", "undo"]


def test_a_decision_can_be_undone_after_a_reload(tab, server):
    desk = tab()
    given, first = server.state("p000"), desk.prompt
    desk.press("2")
    desk.saved()
    desk.page.reload()
    desk.page.locator("#nine li button").first.wait_for()
    desk.press("u")
    desk.saved()
    assert desk.prompt == first
    assert server.state("p000") == given


def test_prompts_are_shown_literally(tab, server):
    desk = tab()
    for _ in range(3):
        expected = server.rows("select text from labels where not done order by place limit 1")[0][0]
        assert desk.page.locator("#prompt").evaluate("node => node.textContent") == expected
        assert desk.page.locator("#prompt").evaluate("node => node.children.length") == 0
        desk.press("n")
        desk.page.locator("#near .cards").wait_for()
        desk.press("Escape", "s")
        desk.saved()
    assert desk.page.evaluate("window.hacked") is None
    prompt = desk.page.locator("#prompt")
    assert prompt.evaluate("node => node.scrollHeight > node.clientHeight"), "the long prompt scrolls in its box"


SHORTEST = """([names, order]) => Math.max(...names.map((name) => {
  const starts = words(name).flatMap((word) => [word.slice(0, 1), word.slice(0, 2)]);
  return Math.min(...starts.map((typed) => {
    const at = matches(typed, names, order).slice(0, 9).indexOf(name);
    const taken = names.some((other) => words(other).some((word) => word.startsWith(typed + (at + 1))));
    return at < 0 || (at > 0 && taken) ? 99 : 2 + typed.length;
  }));
}))"""


def test_any_domain_is_at_most_four_keys_away(browser):
    page = browser.new_page()
    for part in ("base", "search"):
        page.add_script_tag(content=(FOLDER / f"{part}.js").read_text(encoding="utf-8"))
    assert len(NAMES) > 9
    for order in ([], NAMES[:9], NAMES[::-1][:9]):
        assert page.evaluate(SHORTEST, [NAMES, order]) <= 4
    page.close()


def test_type_ahead_by_enter_by_number_and_by_mouse(tab, server):
    desk = tab()
    wanted = [name for name in NAMES if name.startswith("ki")]
    desk.press("/", "k", "i", "Enter")
    desk.saved()
    assert server.state("p000")["domain"] in wanted
    desk.press("/", "k", "i")
    second = desk.page.get_by_role("option").nth(1).inner_text().split()[-1]
    desk.press("2")
    desk.saved()
    assert server.state("p001")["domain"] == second
    desk.page.get_by_role("button", name="All domains").click()
    desk.page.get_by_role("combobox").fill(NAMES[-1])
    desk.page.get_by_role("option", name=NAMES[-1]).click()
    desk.saved()
    assert server.state("p002")["domain"] == NAMES[-1]
    desk.press("/", "z", "z", "z", "Enter")
    expect(desk.page.get_by_text("No domain has a word that starts so")).to_be_visible()
    desk.press("Escape")
    expect(desk.page.get_by_role("combobox")).to_be_hidden()
    desk.press("k")
    desk.saved()
    assert [one[1] for one in server.events()][-1] == "keep"


def test_keys_do_not_fire_in_fields_nor_with_modifiers_and_escape_leaves_the_field(tab, server):
    desk = tab()
    field = desk.page.get_by_label("Another field of the page")
    field.click()
    desk.page.keyboard.type("1kux2")
    expect(field).to_have_value("1kux2")
    desk.press("Control+1", "Alt+2", "Meta+3")
    assert server.events() == []
    desk.press("Escape")
    desk.press("Control+k", "Alt+x")
    desk.page.keyboard.down("1")  # a key that is held is one decision
    desk.page.keyboard.down("1")
    desk.page.keyboard.down("1")
    desk.page.keyboard.up("1")
    desk.saved()
    assert len(server.events()) == 1
    desk.press("Enter", "Space")
    desk.page.wait_for_timeout(300)
    assert len(server.events()) == 1


def test_the_whole_journey_by_keyboard(tab, server):
    desk = tab()
    guide = desk.page.locator("#guide")
    assert guide.locator("article h3").first.inner_text() == desk.pick_text(1)
    desk.press("2", "u", "1")  # a slip, and again
    also = desk.pick_text(3)
    desk.press("m", "3")
    expect(desk.page.locator("#given")).to_contain_text(f"also {also}")
    desk.press("k")
    desk.press("f", "x", "s")
    desk.saved()
    assert server.state("p001")["also"] == [also]
    assert server.state("p002")["flagged"] is True
    assert server.state("p003")["routable"] is False
    assert [one[1] for one in server.events()] == ["label", "undo", "label", "also", "flag", "not_routable", "skip"]
    desk.press("g")
    expect(guide).to_be_hidden()
    desk.press("g", "?")
    expect(desk.page.get_by_role("dialog")).to_contain_text("second opinion")
    desk.press("Escape")
    desk.press("n")
    desk.page.locator("#near .cards").wait_for()
    expect(desk.page.get_by_role("checkbox")).to_have_count(21)
    domain = desk.pick_text(2)
    desk.press("Space", "ArrowRight", "Space", "2")
    expect(desk.page.get_by_role("dialog")).to_contain_text(f"3 prompts would become {domain}")
    desk.press("Enter")
    expect(desk.page.locator("#recent")).to_contain_text(f"3 prompts labelled {domain}")
    assert {server.state(one)["domain"] for one in ("p005", "p399", "p398")} == {domain}
    desk.press("u", "Enter")  # one key or click, one confirmation
    expect(desk.page.locator("#notices")).to_contain_text("Reverted: 3 labels")
    assert {server.state(one)["domain"] for one in ("p005", "p399", "p398")} != {domain}


def test_by_mouse_alone(tab, server):
    desk = tab()
    domain = desk.pick_text(4)
    desk.page.locator("#nine li:nth-child(4) button").click()
    desk.saved()
    assert server.state("p000")["domain"] == domain
    desk.page.get_by_role("button", name="Keep").click()
    desk.page.get_by_role("button", name="Skip").click()
    desk.page.locator("#do-undo").click()
    desk.page.get_by_role("button", name="Not routable").click()
    desk.saved()
    assert [one[1] for one in server.events()] == ["label", "keep", "skip", "undo", "not_routable"]


def test_what_is_decided_is_announced_with_what_comes_next(tab):
    desk = tab()
    name = desk.pick_text(1)
    desk.press("1")
    expect(desk.page.locator("[aria-live=polite]")).to_contain_text(f"Saved as {name}. Next: # not a title")


def test_a_stale_label_is_a_sentence_and_can_be_looked_at_again(tab, server):
    desk = tab()
    first = desk.prompt
    domain = desk.pick_text(1)
    server.change("p000", NAMES[0], 0)
    desk.press("1")
    notice = desk.page.locator("#notices")
    expect(notice).to_contain_text(f"The label is now “{NAMES[0]}”")
    assert server.events() == []
    notice.get_by_role("button", name="Look again").click()
    assert desk.prompt == first
    expect(desk.page.locator("#given")).to_contain_text(NAMES[0])
    desk.press("1")
    desk.saved()
    assert server.state("p000")["domain"] == domain


def test_what_somebody_else_has_decided_goes_from_the_desk(tab, server):
    desk = tab()
    server.change("p020", NAMES[0], 1)
    for _ in range(12):
        desk.press("1")
    desk.saved()
    for _ in range(12):
        desk.press("1")
    desk.saved()
    assert "p020" not in {one[0] for one in server.events()}
    assert len(server.events()) == 24
    expect(desk.page.locator("#notices")).to_be_empty()


def test_an_empty_queue_says_so(tab, server):
    desk = tab()
    server.rows("update labels set done=1 where place > 2")
    desk.page.reload()
    desk.page.locator("#nine li button").first.wait_for()
    desk.press("1", "1", "1")
    expect(desk.page.locator("#empty")).to_contain_text("Nothing is left here for you: 3 decisions made. Next best queue: Audit (40).")
    desk.press("u")
    expect(desk.page.locator("#main")).to_be_visible()
    desk.press("k")
    desk.page.get_by_role("button", name="Open Audit").click()
    expect(desk.page.get_by_text("Asked for audit")).to_be_visible()


def test_a_link_to_one_prompt_opens_it_first(tab, server):
    desk = tab("?prompt=p300")
    assert desk.prompt.startswith("Prompt 300:")
    for _ in range(15):
        desk.press("1")
    desk.saved()
    assert [one[0] for one in server.events()] == ["p300", *(f"p{n:03d}" for n in range(14))]


def test_progress_is_counted(tab):
    desk = tab()
    expect(desk.page.locator("#count")).to_have_text("0 done · 400 left")
    desk.press("1", "2", "3", "s")
    expect(desk.page.locator("#count")).to_have_text("3 done · 396 left")
    desk.saved()
    desk.press("u", "u", "u")
    desk.saved()
    expect(desk.page.locator("#count")).to_have_text("3 done · 397 left")


def test_a_viewer_reads_but_does_not_decide(tab, server):
    desk = tab("?role=viewer")
    expect(desk.page.get_by_text("You are a viewer here")).to_be_visible()
    first = desk.prompt
    desk.press("1", "k", "x", "f", "u")
    assert desk.prompt == first
    desk.press("s")
    assert desk.prompt != first
    desk.page.wait_for_timeout(300)
    assert server.events() == []


def test_a_blind_queue_hides_the_label_and_what_the_model_thinks(tab):
    desk = tab("?blind=1")
    names = [desk.pick_text(n) for n in range(1, 10)]
    assert names == sorted(names)
    assert "%" not in desk.page.locator("#nine").inner_text()
    expect(desk.page.locator("#given")).to_have_text("hidden here")
    expect(desk.page.get_by_role("button", name="Keep")).to_be_disabled()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(tab, theme):
    desk = tab(theme=theme)
    for keys in ([], ["1", "m", "2"], ["/", "k"], ["Escape", "?"], ["Escape", "n"], ["Space", "2"]):
        desk.press(*keys)
        desk.page.wait_for_timeout(400)
        assert not serious(desk.page), keys


def test_nothing_needs_scrolling_at_1280_by_900(tab):
    desk = tab()
    desk.press("1")
    for name in ("#prompt", "#nine", "#all", "#guide", "#bar", "#do-skip"):
        box = desk.page.locator(name).bounding_box()
        assert box and box["y"] >= 0 and box["y"] + box["height"] <= 900, (name, box)
