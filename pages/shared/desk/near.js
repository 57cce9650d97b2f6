// The nearest prompts with their labels: select, choose a domain, look at what would change, apply as one batch that can be reverted.

class Near {
  constructor(dialog, view) {
    this.dialog = dialog;
    this.view = view;
    dialog.addEventListener("close", () => view.$("desk").focus({ preventScroll: true }));
  }

  open(item) {
    this.item = item;
    this.found = null;
    this.picks = [...this.view.picks];
    this.fill(el("p", { text: "Looking for the nearest prompts …" }));
    this.dialog.showModal();
    this.view.desk.ask("neighbours", { of: item.id }, (answer) => {
      if (answer.error) return this.fill(el("p", { text: answer.error }));
      const own = { id: item.id, text: item.text, state: item.state, own: true };
      this.found = [own, ...answer.neighbours.filter((one) => one.id !== item.id)];
      this.chosen = new Set([item.id]);
      this.grid();
    });
  }

  fill(...nodes) {
    const close = el("form", { method: "dialog", class: "close" }, el("button", { class: "small" }, el("kbd", { text: "Esc" }), " Close"));
    this.dialog.replaceChildren(el("header", {}, el("h2", { id: "near-title", text: "Nearest prompts" }), close), ...nodes);
  }

  grid() {
    this.step = "grid";
    const box = (one) => {
      const input = el("input", { type: "checkbox", checked: this.chosen.has(one.id), disabled: Boolean(this.view.desk.readOnly), onchange: () => this.choose(one.id, input.checked) });
      const facts = el("span", { class: "facts" }, el("b", { text: this.view.desk.blind ? "label hidden" : shown(one.state) }), el("span", { text: one.own ? "this prompt" : `${percent(one.similarity)} alike` }));
      return el("label", { class: one.own ? "own" : "" }, input, facts, el("span", { class: "text", text: one.text.slice(0, 300), dir: "auto" }));
    };
    this.boxes = this.found.map(box);
    const place = el("div", { class: "search", id: "near-search", hidden: true });
    this.place = place;
    const domains = el("div", { class: "chips", role: "group", "aria-label": "Domain for the selected prompts" }, ...this.picks.map((name, n) => button(name, String(n + 1), () => this.preview(name))), button("All domains …", "/", () => this.open_search()));
    this.count = el("span", { class: "count" });
    const bar = this.view.desk.readOnly ? [] : [el("div", { class: "bar-row" }, this.count, button("Select all or none", "A", () => this.all()), el("span", { class: "muted", text: "arrows move, Space selects, then a domain" })), domains, place];
    this.fill(el("div", { class: "cards" }, ...this.boxes), ...bar);
    if (!this.view.desk.readOnly) {
      this.search = new Search(place, (name) => this.preview(name), () => this.boxes[0].querySelector("input").focus());
      this.dialog.querySelector(".cards").addEventListener("keydown", (event) => this.move(event));
    }
    this.tell();
    (this.boxes[1] || this.boxes[0]).querySelector("input").focus();
  }

  choose(id, on) {
    this.chosen[on ? "add" : "delete"](id);
    this.tell();
  }

  all() {
    const on = this.chosen.size < this.found.length;
    this.chosen = new Set(on ? this.found.map((one) => one.id) : []);
    this.boxes.forEach((box) => (box.querySelector("input").checked = on));
    this.tell();
  }

  tell() {
    this.count.textContent = `${this.chosen.size} of ${this.found.length} selected`;
  }

  move(event) {
    const step = { ArrowDown: this.across(), ArrowUp: -this.across(), ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = this.boxes.findIndex((box) => box.contains(event.composedPath()[0]));
    if (!step || at < 0) return;
    event.preventDefault();
    const to = this.boxes[Math.min(this.boxes.length - 1, Math.max(0, at + step))];
    to.querySelector("input").focus();
    to.scrollIntoView({ block: "nearest" });
  }

  across() {
    const top = this.boxes[0].offsetTop;
    return Math.max(1, this.boxes.filter((box) => box.offsetTop === top).length);
  }

  open_search() {
    this.search.show(this.view.desk.domains, this.view.desk.blind ? [] : this.picks, this.view.desk.guidelines);
  }

  key(key) {
    if (this.view.desk.readOnly || !this.found || this.step !== "grid") return false;
    if (key === "a") return this.all(), true;
    if (key === "/") return this.open_search(), true;
    if (/^[1-9]$/.test(key) && this.picks[key - 1]) return this.preview(this.picks[key - 1]), true;
    return false;
  }

  // One look, one confirmation.
  preview(name) {
    const changes = this.found
      .filter((one) => this.chosen.has(one.id))
      .map((one) => ({ one, after: { domain: name, also: one.state.also.filter((other) => other !== name), routable: true, flagged: one.state.flagged } }));
    const real = changes.filter(({ one, after }) => !same(one.state, after));
    if (!real.length) return (this.count.textContent = changes.length ? `All ${changes.length} selected are labelled ${name} already` : "Select at least one prompt");
    this.step = "preview";
    const apply = el("button", { type: "button", class: "main-button", text: `Label ${plural(real.length, "prompt")} ${name}`, onclick: () => this.apply(name, real, apply) });
    const back = el("button", { type: "button", text: "Back", onclick: () => this.grid() });
    const kept = changes.length - real.length;
    this.fill(
      el("p", { text: `${plural(real.length, "prompt")} would become ${name}, as one batch that can be reverted.${kept ? ` ${kept} of those selected have that label already.` : ""}` }),
      el("ul", { class: "changes", tabindex: "0", "aria-label": "What would change" }, ...real.map(({ one, after }) => el("li", {}, el("b", { text: `${this.view.desk.blind ? "…" : shown(one.state)} → ${shown(after)}` }), el("span", { class: "text", text: one.text.slice(0, 160), dir: "auto" })))),
      el("div", { class: "bar-row" }, apply, back),
    );
    apply.focus();
  }

  apply(name, changes, pressed) {
    pressed.disabled = true;
    const desk = this.view.desk;
    const what = { title: `${name}: neighbours of “${this.item.text.slice(0, 60)}”`, queue: desk.queue, changes: changes.map(({ one, after }) => ({ id: one.id, seen: one.state, after })) };
    desk.ask("batch", what, (answer) => {
      this.dialog.close();
      if (answer.error) return desk.notice(answer.error);
      desk.applied(changes.map(({ one }) => one.id));
      desk.done += answer.applied;
      const words = `${plural(answer.applied, "prompt")} labelled ${name}`;
      const entry = { item: this.item, action: "bulk", words, batch: answer.batch, applied: answer.applied, at: performance.now() };
      if (answer.applied) desk.log.push(entry);
      if (answer.conflicts) desk.notice(`${answer.conflicts} had changed meanwhile and were left: they are on the conflict list.`);
      this.view.draw();
      this.view.say(`${words}.`, true);
    });
  }

  // One click, one confirmation.
  revert(entry) {
    const desk = this.view.desk;
    if (desk.notices.some((one) => one.batch === entry.batch)) return;
    const done = (answer) => {
      desk.log = desk.log.filter((one) => one !== entry);
      desk.more = true;
      desk.done -= answer.applied || 0;
      desk.decided.clear();
      desk.notice(answer.error || `Reverted: ${plural(answer.applied, "label")} as before.${answer.conflicts ? ` ${answer.conflicts} had changed since and were left.` : ""}`);
      desk.outbox.flush();
      this.view.draw();
    };
    const yes = (asked) => {
      desk.notices = desk.notices.filter((one) => one !== asked);
      this.view.draw_notices();
      desk.ask("revert", { batch: entry.batch }, done);
    };
    desk.notice(`Revert “${entry.words}”?`, ["Yes, revert", yes], null, entry.batch);
    this.view.$("notices").querySelector("p:last-child button").focus();
  }
}
