// What is seen and pressed. Nodes are made once and filled anew for each prompt: nothing moves under the mouse.

const ACTIONS = [
  ["k", "Keep", "keep"], ["m", "Add as also", "also"], ["u", "Undo", "undo"], ["f", "Flag for a second opinion", "flag"], ["x", "Not routable", "not_routable"],
  ["n", "Neighbours", "near"], ["g", "Guideline", "guide"], ["s", "Skip", "skip"],
];
const SHORT = { flag: "Flag", also: "Also", not_routable: "Not routable", near: "Neighbours" };
const HELP = [
  ["1–9", "label with that domain; the next prompt comes at once"], ["K", "keep the label given"], ["/", "all domains: start of any word, then Enter or the number of the match"],
  ["M", "then a domain: could answer it too; again takes it away. Saved with K or a label"], ["U", "undo the last decision; again: redo. Older ones: “Just decided”"],
  ["F", "keep the label, ask for a second opinion"], ["X", "not routable: no domain should answer it"], ["N", "the nearest prompts: label several at once"],
  ["G", "guideline on or off"], ["S", "skip: others still get it"], ["?", "this help"], ["Esc", "leaves any field or window"],
];

class View {
  constructor(root, desk) {
    this.desk = desk;
    this.pending = null; // other domains chosen for the prompt on the desk, not yet saved
    this.adding = false;
    this.$ = (id) => root.getElementById ? root.getElementById(id) : root.querySelector(`#${id}`);
    this.guided = true;
    this.keys_off = (() => { try { return localStorage.getItem(PREFIX + "keys") === "off"; } catch { return false; } })();
    this.search = new Search(this.$("search"), (name) => this.pick(name), (back) => { this.$("nine").hidden = this.$("all").hidden = false; if (back) this.$("desk").focus(); });
    this.near = new Near(this.$("near"), this);
    this.build();
    this.draw();
  }

  build() {
    this.rows = Array.from({ length: 9 }, (_, n) => {
      const row = { name: el("span", { class: "name" }), fill: el("i"), share: el("span", { class: "share" }) };
      row.button = el("button", { type: "button", "aria-keyshortcuts": n + 1, onclick: () => this.pick(this.picks[n]) }, el("kbd", { text: n + 1 }), row.name, el("span", { class: "bar", "aria-hidden": "true" }, row.fill), row.share);
      row.node = el("li", {}, row.button);
      return row;
    });
    this.$("nine").replaceChildren(...this.rows.map((row) => row.node));
    this.$("all").onclick = () => this.open_search();
    this.buttons = Object.fromEntries(ACTIONS.map(([key, text, name]) => [name, button(SHORT[name] || text, key.toUpperCase(), () => this.act(name), { title: text, id: `do-${name}` })]));
    this.$("actions").replaceChildren(...Object.values(this.buttons));
    this.$("link").onclick = () => this.copy_link();
    this.$("help-open").onclick = () => this.open_help();
    const onoff = el("label", {}, el("input", { type: "checkbox", id: "keys-on", checked: !this.keys_off, onchange: (event) => this.switch_keys(event.target.checked) }), " Single keys work everywhere on this page");
    this.$("help").replaceChildren(
      el("h2", { id: "help-title", text: "Keys of the desk" }),
      el("dl", {}, ...HELP.flatMap(([key, text]) => [el("dt", {}, el("kbd", { text: key })), el("dd", { text })])),
      onoff,
      el("form", { method: "dialog" }, el("button", { class: "main-button", autofocus: true, text: "Close" })),
    );
  }

  switch_keys(on) {
    this.keys_off = !on;
    try { localStorage.setItem(PREFIX + "keys", on ? "on" : "off"); } catch { /* it holds for this page */ }
  }

  // Keys

  key(event) {
    const at = event.composedPath()[0];
    if (event.key === "Escape") return isField(at) && !this.dialog ? (at.blur(), this.$("desk").focus({ preventScroll: true })) : undefined;
    if (event.defaultPrevented || event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing || isField(at)) return;
    if (this.keys_off && !this.$("desk").contains(at)) return;
    if (at.closest && at.closest("[role=dialog], [role=menu], [role=listbox]")) return; // a window or a list of the page
    const key = this.digit(event) || event.key.toLowerCase();
    const done = this.dialog === this.$("near") ? this.near.key(key) : this.dialog ? key === "?" && (this.dialog.close(), true) : this.press(key);
    if (done) event.preventDefault();
  }

  // 1 to 9 also on keyboards where digits need Shift (AZERTY), without taking Shift+1 of the others.
  digit(event) {
    if (/^[1-9]$/.test(event.key)) return event.key;
    const found = /^Digit([1-9])$/.exec(event.code || "");
    return found && !event.shiftKey && event.key !== "/" ? found[1] : null;
  }

  press(key) {
    if (/^[1-9]$/.test(key)) return this.pick(this.picks[key - 1]), true;
    if (key === "/") return this.open_search(), true;
    if (key === "?") return this.open_help(), true;
    const found = ACTIONS.find(([one]) => one === key);
    return found ? (this.act(found[2]), true) : false;
  }

  get dialog() {
    return [this.$("help"), this.$("near")].find((one) => one.open) || null;
  }

  // Decisions

  // Where the label is hidden, what is chosen here is added to what is there.
  get also() {
    const { state } = this.desk.item;
    return this.desk.blind ? [...new Set([...state.also, ...(this.pending || [])])].sort() : this.pending || state.also;
  }

  pick(name) {
    const item = this.desk.item;
    if (!item || !name || this.desk.readOnly) return;
    if (this.adding) return this.toggle_also(name);
    const after = { domain: name, also: this.also.filter((one) => one !== name).sort(), routable: true, flagged: item.state.flagged };
    const kept = same(after, item.state);
    this.desk.decide(kept ? "keep" : name === item.state.domain && item.state.routable ? "also" : "label", kept ? null : after, `Saved as ${shown({ ...after, flagged: false })}`);
  }

  toggle_also(name) {
    this.adding = false;
    if (name === this.desk.item.state.domain && !this.desk.blind) this.say(`${name} is the label already.`);
    else {
      const before = this.desk.blind ? this.pending || [] : this.also;
      const on = !before.includes(name);
      this.pending = on ? [...before, name].sort() : before.filter((one) => one !== name);
      this.say(`${on ? "Also" : "No longer also"} ${name}. Saved with Keep or with a label.`);
    }
    this.draw();
  }

  act(name) {
    const desk = this.desk, item = desk.item;
    if (name === "guide") return (this.guided = !this.guided), this.draw();
    if (desk.readOnly) return name === "skip" && item ? (desk.shelf.push(desk.shelf.shift()), this.draw(), this.say("", true)) : name === "near" && item ? this.near.open(item) : undefined;
    if (name === "undo") return desk.undo();
    if (!item) return;
    const after = { ...item.state, also: item.state.domain ? this.also : item.state.also };
    if (name === "keep") {
      if (desk.blind) return this.say("The label given is hidden here: pick the domain.");
      if (!item.state.domain || !item.state.routable) return this.say("There is no label to keep: pick one.");
      return desk.decide(same(after, item.state) ? "keep" : "also", same(after, item.state) ? null : after, `Kept ${shown({ ...after, flagged: false })}`);
    }
    if (name === "also") return (this.adding = !this.adding), this.draw(), this.say(this.adding ? "Now the domain that could answer it too." : "");
    if (name === "flag") return desk.decide("flag", { ...after, flagged: true }, "Flagged for a second opinion");
    if (name === "not_routable") return desk.decide("not_routable", { ...item.state, routable: false }, "Saved as not routable");
    if (name === "skip") return desk.decide("skip", null, "Skipped");
    if (name === "near") return this.near.open(item);
  }

  open_search() {
    if (!this.desk.item || this.desk.readOnly) return;
    this.$("nine").hidden = this.$("all").hidden = true;
    this.search.show(this.desk.domains, this.desk.blind ? [] : this.picks, this.desk.guidelines);
  }

  open_help() {
    this.$("help").showModal();
  }

  // The address of this queue; where the browser gives no clipboard (plain http), by a field that is selected.
  async copy_link() {
    const link = `${location.origin}${location.pathname}?queue=${encodeURIComponent(this.desk.queue)}`;
    try {
      await navigator.clipboard.writeText(link);
    } catch {
      const field = el("textarea", { text: link });
      this.$("desk").append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
    this.$("link").lastChild.textContent = "Copied";
    this.say("The link to this queue is copied.");
    setTimeout(() => (this.$("link").lastChild.textContent = "Copy link"), 2000);
  }

  // Drawing

  draw() {
    const desk = this.desk, item = desk.item, $ = this.$;
    if (!item) this.adding = false;
    $("main").hidden = !item;
    $("empty").hidden = Boolean(item);
    this.status();
    this.draw_notices();
    this.draw_recent();
    for (const name of Object.keys(this.buttons)) this.buttons[name].disabled = name === "undo" ? !desk.log.length || Boolean(desk.readOnly) : name !== "guide" && (!item || (Boolean(desk.readOnly) && name !== "skip" && name !== "near"));
    if (!item) return this.draw_empty();
    const nine = (item.candidates || []).slice(0, 9);
    this.picks = nine.map(([name]) => name);
    if (desk.blind) this.picks.sort();
    if ($("prompt").textContent !== item.text) $("prompt").scrollTop = 0;
    $("prompt").textContent = item.text;
    $("prompt").lang = item.language || "";
    this.draw_meta(item);
    this.draw_nine(item, Object.fromEntries(nine));
    this.draw_guide(item);
    this.buttons.keep.lastChild.textContent = desk.blind || !item.state.domain ? "Keep" : `Keep ${item.state.domain}`;
    this.buttons.keep.disabled = this.buttons.keep.disabled || desk.blind || !item.state.domain || !item.state.routable;
    this.buttons.skip.lastChild.textContent = desk.readOnly ? "Next" : "Skip";
    this.buttons.also.setAttribute("aria-pressed", String(this.adding));
    this.buttons.guide.setAttribute("aria-pressed", String(this.guided));
    $("desk").classList.toggle("adding", this.adding);
  }

  draw_meta(item) {
    const given = this.desk.blind ? [el("span", { class: "muted", text: "hidden here" })] : [el("b", { text: !item.state.routable ? "not routable" : item.state.domain || "none" })];
    const also = this.desk.blind ? this.pending || [] : this.also;
    this.$("given").replaceChildren(...given, ...also.map((name) => el("span", { class: "chip", text: `also ${name}` })), ...(this.pending ? [el("span", { class: "muted", text: "not yet saved" })] : []), ...(item.state.flagged && !this.desk.blind ? [el("span", { class: "chip", text: "flagged" })] : []));
    this.$("facts").textContent = [item.language, item.split && `${item.split} part`].filter(Boolean).join(" · ");
    this.$("reason").textContent = item.reason || "";
  }

  draw_nine(item, shares) {
    this.$("nine").setAttribute("aria-label", this.desk.blind ? "Domains, in the order of the alphabet" : "Domains ranked for this prompt");
    this.rows.forEach((row, n) => {
      const name = this.picks[n];
      row.node.hidden = name === undefined;
      if (name === undefined) return;
      const given = !this.desk.blind && name === item.state.domain;
      row.name.textContent = name;
      row.button.disabled = Boolean(this.desk.readOnly);
      row.button.classList.toggle("given", given);
      row.button.classList.toggle("also", (this.desk.blind ? this.pending || [] : this.also).includes(name));
      row.fill.style.width = this.desk.blind ? "0" : `${Math.max(1, 100 * shares[name])}%`;
      row.share.textContent = this.desk.blind ? "" : percent(shares[name]);
      row.button.title = (this.desk.guidelines[name] || {}).definition || "";
    });
    this.$("all").disabled = Boolean(this.desk.readOnly);
  }

  // The two most likely domains, and the label given if it is a third one. Blind: all nine, which gives nothing away.
  draw_guide(item) {
    const given = item.state.domain;
    const names = this.desk.blind ? this.picks : [...new Set([...this.picks.slice(0, 2), ...(given ? [given] : [])])];
    this.$("guide").hidden = !this.guided;
    this.$("guide").replaceChildren(
      ...names.map((name) => {
        const guide = this.desk.guidelines[name] || {};
        const about = [el("h3", {}, el("span", { text: name }), ...(name === given && !this.desk.blind ? [el("span", { class: "chip", text: "given" })] : [])), el("p", { text: guide.definition || "" })];
        return el("article", {}, ...about, ...(guide.border ? [el("p", { class: "border", text: `Border: ${guide.border}` })] : []));
      }),
    );
  }

  draw_recent() {
    const desk = this.desk;
    const entries = desk.log.filter((one) => one.status !== "conflict" && one.status !== "refused").slice(-5).reverse();
    const line = (one) => {
      const mine = desk.last(one) === one;
      const text = one.item.text.slice(0, 120);
      const verb = one.batch ? "Revert" : desk.undos(one) % 2 ? "Redo" : "Undo";
      return el("li", {}, el("span", { class: "words", text: one.words }), el("span", { class: "of", text }), mine ? el("button", { type: "button", class: "small", text: verb, "aria-label": `${verb}: ${one.words}, ${text}`, onclick: () => desk.undo(one) }) : "");
    };
    this.$("recent").replaceChildren(el("h3", { text: "Just decided" }), entries.length ? el("ol", {}, ...entries.map(line)) : el("p", { class: "muted", text: "Nothing yet. Each decision can be undone here." }));
  }

  draw_notices() {
    const notices = [...(this.desk.error ? [{ text: this.desk.error }] : []), ...this.desk.notices];
    const key = JSON.stringify(notices.map((one) => [one.text, one.item && one.item.id]));
    if (key === this.noticed) return;
    this.noticed = key;
    const close = (one) => { this.desk.notices = this.desk.notices.filter((other) => other !== one); this.draw_notices(); };
    this.$("notices").replaceChildren(
      ...notices.map((one) => el("p", { class: "notice" }, el("span", { text: one.text }), ...(one.item ? [el("span", { class: "of", text: one.item.text.slice(0, 80) })] : []), ...(one.action ? [button(one.action[0], "", () => one.action[1](one), { class: "small" })] : []), ...(this.desk.notices.includes(one) ? [button("Close", "", () => close(one), { class: "small" })] : []))),
    );
  }

  draw_empty() {
    const desk = this.desk, next = desk.next;
    if (desk.more || !desk.heard) return this.$("empty").replaceChildren(el("p", { text: "Getting the next prompts …" }));
    const words = [desk.done ? `Nothing is left here for you: ${plural(desk.done, "decision")} made.` : "Nothing is waiting here.", next ? `Next best queue: ${next.title} (${next.left}).` : "No other queue has anything waiting."];
    this.$("empty").replaceChildren(el("p", { text: words.join(" ") }), ...(next ? [el("button", { type: "button", class: "main-button", text: `Open ${next.title}`, onclick: () => desk.ask("go", { to: next.name }, () => {}) })] : []));
  }

  status() {
    const desk = this.desk, box = desk.outbox, $ = this.$;
    if (!box) return;
    const left = Math.max(desk.left, desk.shelf.length);
    $("count").textContent = desk.readOnly ? `${plural(left, "prompt")} waiting` : `${desk.done} done · ${left.toLocaleString("en")} left`;
    $("bar").max = Math.max(1, desk.done + left);
    $("bar").value = Math.max(0, desk.done);
    const n = box.waiting.size;
    const words = desk.readOnly ? "" : n && box.late ? `Out of reach: ${plural(n, "decision")} kept here, will be sent` : n ? `${n} not yet saved` : box.kept ? "All saved" : "All saved. This browser keeps nothing over a reload";
    const others = box.others ? ` · ${box.others} of another name are kept here until they are back` : "";
    $("status").textContent = words + others;
    $("status").classList.toggle("late", Boolean(n && box.late));
  }

  // For screen readers; a burst of keys is one announcement.
  say(words, next = false) {
    clearTimeout(this.saying);
    const item = this.desk.item;
    const about = next && item ? ` Next: ${item.text.slice(0, 200)}. ${this.desk.blind ? "" : `Label given: ${shown(item.state)}.`}` : next ? " Nothing left here." : "";
    this.saying = setTimeout(() => (this.$("live").textContent = words + about), 150);
  }
}
