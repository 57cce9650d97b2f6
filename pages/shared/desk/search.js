// Type-ahead over all domains: a combobox with its list. A digit after the letters takes that match; Enter takes the first.

const words = (name) => name.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean);

// Best first: the whole name, then the start of the name, of a later word, of the words' initials, then anywhere in it; ties as in `order`.
function matches(query, names, order) {
  const wanted = query.trim().toLowerCase();
  const rank = new Map(order.map((name, at) => [name, at]));
  const grade = (name) => {
    const parts = words(name);
    if (!wanted) return 1;
    if (name.toLowerCase() === wanted) return 0;
    if (name.toLowerCase().startsWith(wanted)) return 1;
    if (parts.some((part) => part.startsWith(wanted))) return 2;
    if (parts.map((part) => part[0]).join("").startsWith(wanted)) return 3;
    return name.toLowerCase().includes(wanted) ? 4 : 9;
  };
  return names
    .map((name) => [grade(name), rank.get(name) ?? order.length, name])
    .filter(([grade]) => grade < 9)
    .sort((a, b) => a[0] - b[0] || a[1] - b[1] || (a[2] < b[2] ? -1 : 1))
    .map(([, , name]) => name);
}

class Search {
  // `place`: where it is drawn. `chosen(name)`, `closed()`: what follows.
  constructor(place, chosen, closed) {
    this.place = place;
    this.chosen = chosen;
    this.closed = closed;
    this.input = el("input", {
      type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", "aria-expanded": "true", "aria-autocomplete": "list",
      "aria-controls": `${place.id}-list`, "aria-label": "All domains: type the start of a word, then Enter or the number of the match",
      placeholder: "Start of any word of the name",
    });
    this.list = el("ol", { role: "listbox", id: `${place.id}-list`, class: "matches", "aria-label": "Matching domains" });
    this.said = el("p", { class: "said" });
    place.replaceChildren(this.input, this.list, this.said);
    this.input.addEventListener("input", () => this.draw());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", () => setTimeout(() => this.open && focused() !== this.input && this.close(false), 150));
  }

  get open() {
    return !this.place.hidden;
  }

  show(names, order, guidelines) {
    Object.assign(this, { names, order, guidelines });
    this.place.hidden = false;
    this.input.value = "";
    this.draw();
    this.input.focus();
  }

  close(back = true) {
    this.place.hidden = true;
    this.closed(back);
  }

  draw(at = 0) {
    this.found = matches(this.input.value, this.names, this.order).slice(0, 9);
    this.list.replaceChildren(
      ...this.found.map((name, n) =>
        el("li", { role: "option", id: `${this.place.id}-${n}`, onmousedown: (event) => event.preventDefault(), onclick: () => this.take(n) }, el("kbd", { text: n + 1 }), el("span", { text: name })),
      ),
    );
    this.mark(at);
  }

  mark(at) {
    this.at = this.found.length ? (at + this.found.length) % this.found.length : -1;
    [...this.list.children].forEach((node, n) => node.setAttribute("aria-selected", String(n === this.at)));
    if (this.at < 0) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", `${this.place.id}-${this.at}`);
    const guide = this.at < 0 ? null : this.guidelines[this.found[this.at]];
    this.said.textContent = this.at < 0 ? "No domain has a word that starts so." : guide ? guide.definition : "";
  }

  take(at) {
    const name = this.found[at];
    if (name === undefined) return;
    this.place.hidden = true;
    this.closed(true);
    this.chosen(name);
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) this.mark(this.at + moves[event.key]);
    else if (event.key === "Enter") this.take(this.at);
    else if (event.key === "Escape") this.close();
    else if (/^[1-9]$/.test(event.key) && !this.names.some((name) => words(name).some((part) => part.startsWith(this.input.value.trim().toLowerCase() + event.key)))) this.take(Number(event.key) - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
