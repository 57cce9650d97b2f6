// The desk: what is on it, what a key does, and what the server answers. Drawing is in view.js.

const KEEP_AHEAD = 80; // prefetched items; more for a fast hand, so that its desk is never empty
const KEEP_AHEAD_FAST = 160;
const LEAST = 12;
const DESKS = 5; // this many share a small queue without one of them holding all of it
const FAST_MS = 400; // two decisions within this time
const RENEW_MS = 120000; // leases last ten minutes; a desk that is looked at renews them
const RECENT = 30;

class Desk {
  constructor(root, data) {
    this.tab = tabName();
    this.n = 0;
    this.shelf = []; // undecided items, the first one is on the desk
    this.log = Desk.remembered(data.actor); // decisions, newest last
    this.decided = new Set(); // ids that must not come back by themselves
    this.asks = new Map();
    this.had = new Map(); // number of a message → ids on the desk when it was sent
    this.notices = [];
    this.more = true;
    this.look = 0; // the first message whose answer may call the queue empty
    this.renewing = false;
    this.done = this.left = 0;
    this.take(data);
    this.outbox = new Outbox(data.actor, (events) => this.post_events(events), () => this.view && this.view.status());
    this.view = new View(root, this);
    this.keys = (event) => this.view.key(event);
    window.addEventListener("keydown", this.keys);
    this.online = () => this.outbox.flush(true);
    window.addEventListener("online", this.online);
    this.renewal = setInterval(() => this.renew(), RENEW_MS);
  }

  stop() {
    window.removeEventListener("keydown", this.keys);
    window.removeEventListener("online", this.online);
    clearInterval(this.renewal);
    this.outbox.stop();
  }

  take(data) {
    for (const name of ["actor", "readOnly", "queue", "blind", "model"]) this[name] = data[name];
    if (data.static && data.static.domains) Object.assign(this, data.static);
    if (data.n === 0 && data.left) this.left = data.left; // known before the first question: how much is a fair share
  }

  get item() {
    return this.shelf[0];
  }

  // To the server

  get wanted() {
    if (this.readOnly) return this.more && !this.shelf.length ? KEEP_AHEAD : 0;
    const recent = this.log.slice(-2);
    const fast = recent.length === 2 && recent[1].at - recent[0].at < FAST_MS;
    const fair = Math.max(LEAST, Math.ceil(this.left / (fast ? 2 : DESKS)));
    const target = Math.min(fast ? KEEP_AHEAD_FAST : KEEP_AHEAD, fair);
    return this.more && this.shelf.length < 0.75 * target ? Math.ceil(target - this.shelf.length) : 0;
  }

  post_events(events) {
    this.sent = {
      n: ++this.n, session: this.outbox.session, tab: this.tab, queue: this.queue, static: this.hash || "",
      events, want: this.wanted || Number(this.renewing), have: this.shelf.map((item) => item.id), asks: [...this.asks.values()],
    };
    this.renewing = false;
    this.had.set(this.n, this.sent.have);
    this.post(this.sent);
  }

  // The leases, and a look at what has come or gone.
  renew() {
    if (document.visibilityState !== "visible" || this.readOnly) return;
    this.more = this.renewing = true;
    this.outbox.flush();
  }

  ask(kind, what, then) {
    const id = `${this.outbox.session}-${this.asks.size}-${this.n}-${randomName(3)}`;
    this.asks.set(id, { id, kind, ...what });
    this.waits = { ...this.waits, [id]: then };
    this.outbox.flush(true);
  }

  // What this tab has decided can be undone after a reload too.
  remember() {
    this.log = this.log.slice(-RECENT);
    try {
      sessionStorage.setItem(PREFIX + "log", JSON.stringify({ actor: this.actor, log: this.log }));
    } catch { /* then it cannot */ }
  }

  static remembered(actor) {
    try {
      const found = JSON.parse(sessionStorage.getItem(PREFIX + "log"));
      return found && found.actor === actor && Array.isArray(found.log) ? found.log : [];
    } catch {
      return [];
    }
  }

  // From the server

  receive(data) {
    if (data.queue !== this.queue || data.actor !== this.actor) this.reset(data);
    this.take(data);
    if (data.session !== this.outbox.session || !this.sent) {
      // a page that has not heard of this desk: a first run, a reload, a restarted server
      if (!this.greeted) this.greeted = setTimeout(() => ((this.greeted = null), this.outbox.flush(true)), 0);
      return this.view.draw();
    }
    if (data.n < (this.heard || 0)) return;
    this.heard = data.n;
    for (const n of this.had.keys()) if (n < data.n) this.had.delete(n);
    this.error = data.error || "";
    const settled = this.outbox.answered(data.outcomes || [], data.n === this.n);
    settled.forEach(([event, outcome]) => this.settle(event, outcome));
    for (const [id, answer] of Object.entries(data.answers || {})) this.answer(id, answer);
    this.stock(data); // of an older message too: a slow server must not starve the desk
    this.view.draw();
    if (this.error) {
      this.outbox.sentAt = Date.now(); // not at once: the same error would come at once
      this.outbox.watch();
    } else if (this.outbox.waiting.size || this.asks.size || (data.n === this.n && this.wanted && (data.items || []).length)) {
      setTimeout(() => this.outbox.flush(), 0);
    }
  }

  reset(data) {
    Object.assign(this, { shelf: [], more: true, left: 0, done: 0, queue: data.queue });
    this.view.pending = null;
    if (data.actor !== this.actor) {
      this.outbox.stop();
      this.log = [];
      this.outbox = new Outbox(data.actor, this.outbox.send, this.outbox.told);
    }
    this.sent = null;
  }

  settle(event, outcome) {
    const entry = this.log.find((one) => one.session === event.session && one.seq === event.seq);
    if (entry) entry.status = outcome.status;
    if (outcome.status === "stored" || outcome.status === "known") {
      if (entry && outcome.state) entry.after = outcome.state;
      return this.remember();
    }
    const item = entry && entry.item;
    const here = outcome.state && this.shelf.find((one) => one.id === event.id);
    if (here) here.state = outcome.state; // it is on the desk again already, by undo
    this.notice(outcome.message || "This decision was not stored.", item && outcome.state ? ["Look again", () => this.back(item, outcome.state)] : null, item);
  }

  answer(id, answer) {
    this.asks.delete(id);
    const then = this.waits && this.waits[id];
    if (then) {
      delete this.waits[id];
      then(answer);
    }
  }

  // New items at the end; those that somebody else has decided or holds go. What came back by undo is not the server's to take.
  stock(data) {
    const was = this.item;
    if (data.now) this.shelf = this.shelf.filter((item) => !data.now[item.id] || this.busy(item.id) || same(data.now[item.id], item.state));
    if (data.ids) this.restock(data);
    if (was && this.item !== was) {
      this.view.pending = null;
      this.view.say("Somebody else has decided that prompt meanwhile.", true);
    }
  }

  // Whether a decision about it is on its way.
  busy(id) {
    return [...this.outbox.waiting.values()].some((event) => event.id === id);
  }

  restock(data) {
    this.left = data.left + this.coming;
    this.next = data.next;
    const standing = new Set(data.ids);
    const asked = new Set(this.had.get(data.n));
    if (!this.outbox.waiting.size) this.shelf = this.shelf.filter((item) => standing.has(item.id) || !asked.has(item.id) || item.returned);
    const here = new Set(this.shelf.map((item) => item.id));
    for (const item of data.items || []) if (!here.has(item.id) && !this.decided.has(item.id)) this.shelf.push(item);
    this.more = !data.all || data.n < this.look;
  }

  // Decisions

  // `after`: what it should be, or null. `words` say it. Returns at once; the outbox does the rest.
  decide(action, after, words) {
    const item = this.item;
    if (!item || this.readOnly) return;
    delete item.returned;
    const event = { id: item.id, action, seen: item.state, after, undoes: null, queue: this.queue, reason: item.reason || "", top: item.candidates, model: item.model || this.model || null };
    this.shelf.shift();
    this.decided.add(item.id);
    if (!this.shelf.length) [this.more, this.look] = [true, this.n + 1]; // a last look before it is called empty
    this.log.push({ item, action, before: item.state, after: after || item.state, words, at: performance.now(), queue: this.queue });
    const made = this.outbox.add(event);
    Object.assign(this.log[this.log.length - 1], { session: made.session, seq: made.seq });
    this.remember();
    this.done += action === "skip" ? 0 : 1;
    this.left -= 1;
    this.view.pending = null;
    this.view.draw();
    this.view.say(`${words}.`, true);
  }

  // What the unanswered decisions will make of the number of waiting prompts.
  get coming() {
    const weigh = (one) => (one.action === "undo" ? one.weight : -1);
    return [...this.outbox.waiting.values()].filter((one) => one.session === this.outbox.session && one.queue === this.queue).reduce((sum, one) => sum + (weigh(one) || 0), 0);
  }

  // The decision that can be undone (or, if it is an undo, redone) for an entry of the log: the last one about that prompt.
  last(entry) {
    const same = this.log.filter((one) => one.item.id === entry.item.id && one.status !== "conflict" && one.status !== "refused");
    return same[same.length - 1];
  }

  undo(entry = this.log[this.log.length - 1]) {
    const target = entry && !this.readOnly ? this.last(entry) : null;
    if (!target) return this.view.say("Nothing to undo.");
    if (target.batch) return this.view.near.revert(target);
    const decision = this.decision(target);
    const redo = this.undos(target) % 2 === 1;
    const event = { id: target.item.id, action: "undo", seen: target.after, after: null, undoes: [target.session, target.seq], queue: target.queue, reason: "", top: [], model: null, weight: redo ? -1 : 1 };
    const words = `${redo ? "Redone" : "Undone"}: ${decision.words}`;
    const mark = { item: target.item, action: "undo", before: target.after, after: target.before, words, undoes: target, at: performance.now(), queue: target.queue };
    this.log.push(mark);
    const made = this.outbox.add(event);
    Object.assign(mark, { session: made.session, seq: made.seq });
    this.remember();
    if (decision.action !== "skip") this.done += redo ? 1 : -1;
    this.left += redo ? -1 : 1;
    if (redo) {
      this.shelf = this.shelf.filter((item) => item.id !== target.item.id);
      this.decided.add(target.item.id);
    } else this.back(target.item, mark.after, false);
    this.view.pending = null;
    this.view.draw();
    this.view.say(`${words}.`, true);
  }

  // What lies under undos of undos.
  decision(entry) {
    return entry.action === "undo" ? this.decision(entry.undoes) : entry;
  }

  undos(entry) {
    return entry.action === "undo" ? 1 + this.undos(entry.undoes) : 0;
  }

  // A prompt on the desk again, with the label that it has now.
  back(item, state, draw = true) {
    this.shelf = [{ ...item, state, returned: true }, ...this.shelf.filter((one) => one.id !== item.id)];
    this.decided.delete(item.id);
    this.notices = this.notices.filter((one) => one.item !== item);
    if (draw) {
      this.view.pending = null;
      this.view.draw();
      this.view.say("On the desk again.", true);
    }
  }

  // A batch has been applied to these prompts.
  applied(ids) {
    const gone = new Set(ids);
    this.left -= this.shelf.filter((item) => gone.has(item.id)).length;
    this.shelf = this.shelf.filter((item) => !gone.has(item.id));
    ids.forEach((id) => this.decided.add(id));
  }

  notice(text, action = null, item = null, batch = null) {
    this.notices = [...this.notices, { text, action, item, batch }].slice(-4);
    this.view.draw_notices();
  }
}

const desks = new WeakMap();

// Streamlit calls this at each change of `data`, and its cleanup also when a newer call has overtaken this one.
export default function ({ data, parentElement, setTriggerValue }) {
  let desk = desks.get(parentElement);
  if (!desk) {
    desk = new Desk(parentElement, data);
    desks.set(parentElement, desk);
  }
  desk.post = (message) => setTriggerValue("message", message);
  desk.receive(data);
  return () => {
    if ((parentElement.host || parentElement).isConnected) return;
    desk.stop();
    desks.delete(parentElement);
  };
}
