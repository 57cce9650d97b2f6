// Decisions on their way to the server. Each has a number, is kept in this browser until the server has answered, and is sent again until then.

const RESEND_MS = 2000;
const LATE_MS = 4000;

class Outbox {
  // `send(events)` hands all that is unanswered to the server; `told()` is called when the state of the outbox changes.
  constructor(actor, send, told) {
    this.session = randomName(); // new for each page load: two tabs can never use one number twice
    this.actor = actor;
    this.send = send;
    this.told = told;
    this.seq = 0;
    this.waiting = new Map(); // "session:seq" → event
    this.kept = true;
    this.sentAt = 0; // of the message that is on its way; 0: none
    this.timer = null;
    this.recover();
  }

  // What an earlier page of this browser could not deliver.
  recover() {
    this.others = 0;
    try {
      for (const key of Object.keys(localStorage).filter((one) => one.startsWith(PREFIX + "out."))) {
        const found = Outbox.read(key);
        if (!found) localStorage.removeItem(key);
        else if (found.actor !== this.actor) this.others += found.events.length;
        else found.events.forEach((event) => this.waiting.set(`${event.session}:${event.seq}`, { ...event, since: Date.now() }));
      }
    } catch {
      this.kept = false;
    }
  }

  static read(key) {
    try {
      const found = JSON.parse(localStorage.getItem(key));
      return found && Array.isArray(found.events) && found.events.every((one) => typeof one.session === "string" && Number.isInteger(one.seq)) ? found : null;
    } catch {
      return null;
    }
  }

  add(event) {
    const made = { ...event, session: this.session, seq: ++this.seq, since: Date.now() };
    this.waiting.set(`${made.session}:${made.seq}`, made);
    this.keep(this.session);
    this.flush();
    return made;
  }

  keep(session) {
    try {
      const events = [...this.waiting.values()].filter((one) => one.session === session);
      if (events.length) localStorage.setItem(`${PREFIX}out.${session}`, JSON.stringify({ actor: this.actor, events }));
      else localStorage.removeItem(`${PREFIX}out.${session}`);
    } catch {
      this.kept = false;
    }
  }

  // One message at a time: what is decided meanwhile goes with the next one. An unanswered message is repeated.
  flush(force = false) {
    const now = Date.now();
    if (force || !this.sentAt || now - this.sentAt >= RESEND_MS) {
      this.sentAt = now;
      this.send([...this.waiting.values()].map(({ since, ...event }) => event));
    }
    this.watch();
    this.told();
  }

  // A timer only while an answer is due.
  watch() {
    clearTimeout(this.timer);
    this.timer = this.sentAt ? setTimeout(() => this.flush(), Math.max(50, this.sentAt + RESEND_MS - Date.now())) : null;
  }

  // The server has answered: the message on its way, or (`newest` false) one that was repeated since. Returns [event, outcome] of each event that is settled by it.
  answered(outcomes, newest) {
    const settled = [];
    for (const outcome of outcomes) {
      const key = `${outcome.session}:${outcome.seq}`;
      const event = this.waiting.get(key);
      if (event && this.waiting.delete(key)) settled.push([event, outcome]);
    }
    new Set(settled.map(([event]) => event.session)).forEach((session) => this.keep(session));
    if (newest) this.sentAt = 0;
    this.watch();
    this.told();
    return settled;
  }

  get late() {
    return [...this.waiting.values()].some((one) => Date.now() - one.since > LATE_MS) || (this.waiting.size > 0 && navigator.onLine === false);
  }

  stop() {
    clearTimeout(this.timer);
  }
}
