// The page of the stock tracker: three raw sockets, one per channel, drawn once per frame.
//
//   Feed      a socket that comes back: its state, its counters, its next attempt
//   Board     the table of a channel          IndexChart   the big chart
//   schedule  marks a view as changed; all changed ones are drawn in the next frame
//
// What comes over the wire is a stranger's: it is checked here and put on the page as text.
"use strict";

const POINTS = 60; // of a sparkline
const CHART_POINTS = 250; // about a year of trading days
const MIN_SLOTS = 24; // a line of fewer points keeps to the right, and grows to the left
const MAX_ROWS = 60;
const SVG = "http://www.w3.org/2000/svg";
const token = new URLSearchParams(location.search).get("token");

// ---- drawing -------------------------------------------------------------------------

const dirty = new Set();
let frame = 0;

function schedule(view) {
  dirty.add(view);
  if (frame) return;
  frame = requestAnimationFrame(() => {
    frame = 0;
    const views = [...dirty];
    dirty.clear();
    for (const view of views) view.draw();
  });
}

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Writes only what differs, so that a frame without news costs no layout. */
function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

function make(tag, className, parent) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (parent) parent.append(element);
  return element;
}

function flash(element, change) {
  if (still.matches || !change || !element.animate) return;
  const from = getComputedStyle(document.documentElement).getPropertyValue(change > 0 ? "--up-flash" : "--down-flash");
  element.animate([{ backgroundColor: from }, { backgroundColor: "transparent" }], { duration: 700, easing: "ease-out" });
}

const money = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 2 });
const whole = new Intl.NumberFormat("en-US");
const counted = (count, thing) => `${whole.format(count)} ${thing}${count === 1 ? "" : "s"}`;

/** Two digits after the point; "123.46M" where that would be wider than its column. */
const amount = (value) => (Math.abs(value) < 1e6 ? money : compact).format(value);

/** "▲ +3.10%" and "+1.20": the arrow and the sign say it, the colour repeats it. */
function changeOf(quote) {
  const { change, percent } = quote;
  if (change === undefined) return { kind: "same", abs: "", rel: "–" };
  const kind = change > 0 ? "up" : change < 0 ? "down" : "same";
  const arrow = { up: "▲", down: "▼", same: "■" }[kind];
  const sign = { up: "+", down: "−", same: "" }[kind];
  return {
    kind,
    abs: sign + amount(Math.abs(change)),
    rel: percent === undefined ? arrow : `${arrow} ${sign}${amount(Math.abs(percent))}%`,
  };
}

/** The path through `values` in a box, newest at the right edge; a lone value is a level. */
function pathOf(values, width, top, bottom) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (low === high) {
    low -= 1;
    high += 1;
  }
  const step = width / (Math.max(values.length, MIN_SLOTS) - 1);
  const x0 = width - (values.length - 1) * step;
  const at = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
  let path = values.length === 1 ? `M${width - step} ${at(values[0])}` : "";
  values.forEach((value, i) => {
    path += `${path ? "L" : "M"}${(x0 + i * step).toFixed(1)} ${at(value).toFixed(1)}`;
  });
  return { path, low, high, x0, y: at(values[values.length - 1]) };
}

// ---- quotes --------------------------------------------------------------------------

/** The quote in a frame's payload, or null. Anybody with access to the admin port may publish. */
function readQuote(payload) {
  if (typeof payload !== "string") return null; // binary
  let data;
  try {
    data = JSON.parse(payload);
  } catch {
    return null;
  }
  if (data === null || typeof data !== "object") return null;
  if (typeof data.symbol !== "string" || data.symbol === "" || data.symbol.length > 12) return null;
  if (!Number.isFinite(data.price)) return null;
  const number = (value) => (Number.isFinite(value) ? value : undefined);
  return {
    symbol: data.symbol,
    price: data.price,
    date: typeof data.date === "string" && /^\d{4}-\d{2}-\d{2}$/.test(data.date) ? data.date : undefined,
    change: number(data.change),
    percent: number(data.percent),
    open: number(data.open),
    high: number(data.high),
    low: number(data.low),
  };
}

/** The last `size` prices of a symbol. A date that goes back is a new round of the replay. */
class Series {
  constructor(size) {
    this.size = size;
    this.prices = [];
    this.dates = [];
    this.date = "";
  }

  add(quote) {
    if (quote.date !== undefined) {
      if (quote.date < this.date) this.prices.length = this.dates.length = 0;
      this.date = quote.date;
    }
    this.prices.push(quote.price);
    this.dates.push(quote.date);
    if (this.prices.length > this.size) {
      this.prices.shift();
      this.dates.shift();
    }
  }
}

// ---- views ---------------------------------------------------------------------------

class Board {
  constructor(section) {
    this.body = section.querySelector("tbody");
    this.rows = new Map();
    this.empty = make("tr", "empty", this.body);
    const cell = make("td", "", this.empty);
    cell.colSpan = 5;
    cell.textContent = "Waiting for the first quote …";
  }

  /** False when there is no room for another symbol. */
  add(quote) {
    let row = this.rows.get(quote.symbol);
    if (!row) {
      if (this.rows.size >= MAX_ROWS) return false;
      row = { quote, series: new Series(POINTS), news: true, cells: null };
      this.rows.set(quote.symbol, row);
    }
    row.quote = quote;
    row.series.add(quote);
    row.news = true;
    schedule(this);
    return true;
  }

  build(symbol) {
    const tr = document.createElement("tr");
    const name = make("th", "", tr);
    name.scope = "row";
    make("span", "symbol", name).textContent = symbol;
    const small = make("span", "small-date", name); // in place of the last column where it does not fit
    const price = make("span", "flash", make("td", "num price", tr));
    const change = make("td", "num", tr);
    const rel = make("span", "rel", change);
    const abs = make("span", "abs", change);
    const trend = make("td", "trend", tr);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 200 40");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("class", "line");
    svg.append(line);
    trend.append(svg);
    const range = make("span", "hidden", trend);
    const date = make("td", "num date", tr);
    const after = [...this.rows.keys()].filter((s) => s > symbol && this.rows.get(s).cells).sort()[0];
    this.body.insertBefore(tr, after === undefined ? null : this.rows.get(after).cells.tr);
    return { tr, price, change, abs, rel, trend, line, range, date, small };
  }

  draw() {
    this.empty.remove();
    for (const [symbol, row] of this.rows) {
      if (!row.news) continue;
      row.news = false;
      row.cells ??= this.build(symbol);
      const { cells, quote, series } = row;
      const { kind, abs, rel } = changeOf(quote);
      text(cells.price, amount(quote.price));
      text(cells.abs, abs);
      text(cells.rel, rel);
      cells.change.className = `num ${kind}`;
      text(cells.date, quote.date ?? "posted");
      text(cells.small, quote.date ?? "posted");
      const { path } = pathOf(series.prices, 200, 3, 37);
      cells.line.setAttribute("d", path);
      const rise = series.prices[series.prices.length - 1] - series.prices[0];
      cells.trend.className = `trend ${rise > 0 ? "up" : rise < 0 ? "down" : "same"}`;
      const way = rise > 0 ? "up" : rise < 0 ? "down" : "level";
      text(cells.range, series.prices.length > 1 ? `${way} over ${series.prices.length} quotes` : "");
      flash(cells.price, quote.change);
    }
  }
}

class IndexChart {
  constructor(section) {
    const find = (selector) => section.querySelector(selector);
    this.field = (name) => find(`[data-field="${name}"]`);
    this.svg = find("svg");
    this.line = find(".line");
    this.area = find(".area");
    this.dot = find(".dot");
    this.y = [find(".top-y"), find(".mid-y"), find(".low-y")];
    this.caption = [find(".from"), find(".span"), find(".to")];
    this.series = new Series(CHART_POINTS);
    this.symbol = null;
    this.quote = null;
    this.described = 0;
  }

  /** One line, one symbol: the first that comes. */
  add(quote) {
    this.symbol ??= quote.symbol;
    if (quote.symbol !== this.symbol) return false;
    this.quote = quote;
    this.series.add(quote);
    schedule(this);
    return true;
  }

  draw() {
    const { quote, series } = this;
    const { kind, abs, rel } = changeOf(quote);
    text(this.field("price"), amount(quote.price));
    text(this.field("change"), `${rel} ${abs}`.trim());
    this.field("change").className = `change ${kind}`;
    text(this.field("date"), quote.date ?? "posted");
    for (const name of ["open", "high", "low"]) {
      text(this.field(name), quote[name] === undefined ? "–" : amount(quote[name]));
    }

    const { path, low, high, x0, y } = pathOf(series.prices, 1000, 20, 220);
    this.line.setAttribute("d", path);
    this.area.setAttribute("d", series.prices.length > 1 ? `${path}V240H${x0.toFixed(1)}Z` : "");
    this.dot.hidden = false;
    this.dot.style.left = "100%";
    this.dot.style.top = `${(y / 240) * 100}%`;
    [high, (high + low) / 2, low].forEach((value, i) => text(this.y[i], amount(value)));
    const dates = series.dates.filter(Boolean);
    text(this.caption[0], dates[0] ?? "");
    text(this.caption[1], counted(series.prices.length, "point"));
    text(this.caption[2], dates[dates.length - 1] ?? "");

    const now = performance.now();
    if (now - this.described > 5000) {
      this.described = now;
      this.svg.setAttribute(
        "aria-label",
        `Chart of the index, ${counted(series.prices.length, "point")}: now ${amount(quote.price)}, lowest ${amount(low)}, highest ${amount(high)}`,
      );
    }
  }
}

// ---- connections ---------------------------------------------------------------------

/** For screen readers: changes of the same moment in one sentence, "market, index: live". */
const announcer = {
  element: document.getElementById("announce"),
  news: new Map(),
  say(channel, words) {
    this.news.set(channel, words);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      text(this.element, grouped(this.news));
      this.news.clear();
    }, 400);
  },
};

/** What the visitor can do about a refusal, above the boards: mostly all three have the same. */
const hints = {
  element: document.getElementById("hint"),
  of: new Map(),
  set(channel, words) {
    if (words) this.of.set(channel, words);
    else this.of.delete(channel);
    schedule(this);
  },
  draw() {
    this.element.hidden = this.of.size === 0;
    text(this.element, grouped(this.of));
  },
};

function grouped(words) {
  const channels = new Map();
  for (const [channel, word] of words) channels.set(word, [...(channels.get(word) ?? []), channel]);
  return [...channels].map(([word, names]) => `${names.join(", ")}: ${word}`).join(" ");
}

// What the close codes ask of a client. `stop`: trying again would be refused again.
// `slow`: try again, but not soon.
const CLOSE = {
  1001: { why: "the broker is going away, back soon" },
  1006: { why: "connection lost" },
  1009: { why: "a message was too big" },
  1011: { why: "a script of the broker failed" },
  1012: { why: "the broker restarts" },
  4401: { why: "the token has expired", stop: true },
  4403: { why: "not allowed", stop: true },
  4404: { why: "there is no such channel any more", slow: true },
  4408: { why: "the broker missed our heartbeat" },
  4429: { why: "too many requests", slow: true },
  4431: { why: "this page read too slowly" },
};

const FIRST_DELAY = 0.5; // seconds
const MAX_DELAY = 30;
const STABLE_AFTER = 5; // open for that long, or a message: the next failure starts from FIRST_DELAY
const OPEN_TIMEOUT = 10;

class Feed {
  constructor(channel, view, section) {
    this.channel = channel;
    this.view = view;
    this.label = section.querySelector(".state");
    this.words = make("span", "", this.label);
    this.button = make("button", "", this.label);
    this.button.type = "button";
    this.button.hidden = true;
    this.button.textContent = "Try now";
    this.button.setAttribute("aria-label", `Connect to ${channel} now`);
    this.button.addEventListener("click", () => this.connect());
    this.foot = section.querySelector(".foot");
    this.state = "";
    this.detail = "";
    this.failures = 0; // in a row
    this.neverOpened = 0; // of these, ended before the handshake was through
    this.messages = 0;
    this.unreadable = 0;
    this.recent = []; // messages in each of the last five seconds
    this.thisSecond = 0;
    this.lastAt = 0;
    this.socket = null;
    this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    if (this.socket) this.abandon();
    this.set("connecting", "");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const query = token ? `?token=${encodeURIComponent(token)}` : "";
    const socket = new WebSocket(`${scheme}//${location.host}/ws/${this.channel}${query}`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    let opened = false;
    this.timer = setTimeout(() => {
      this.abandon();
      this.ended(false, 1006, "no answer");
    }, OPEN_TIMEOUT * 1000);

    socket.onopen = () => {
      opened = true;
      this.neverOpened = 0;
      this.lastAt = performance.now();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => (this.failures = 0), STABLE_AFTER * 1000);
      hints.set(this.channel, "");
      this.set("live", "");
    };
    socket.onmessage = (event) => this.receive(event.data);
    // `onerror` says nothing that `onclose` does not say after it.
    socket.onclose = (event) => {
      this.socket = null;
      this.ended(opened, event.code, event.reason);
    };
  }

  /** Lets go of the socket without hearing of it again. */
  abandon() {
    const { socket } = this;
    this.socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  receive(payload) {
    this.failures = 0;
    this.messages += 1;
    this.thisSecond += 1;
    this.lastAt = performance.now();
    const quote = readQuote(payload);
    if (!quote || !this.view.add(quote)) {
      this.unreadable += 1;
      if (this.unreadable <= 5) console.warn(`${this.channel}: not a quote for this board:`, payload);
    }
    schedule(this);
  }

  ended(opened, code, reason) {
    clearTimeout(this.timer);
    this.failures += 1;
    if (!opened) this.neverOpened += 1;
    const known = CLOSE[code] ?? { why: `closed with ${code}` };
    const why = reason || known.why;

    if (known.stop) {
      this.set("refused", `${why} (${code})`);
      hints.set(this.channel, code === 4401 ? "a new token is needed. Put it into ?token=… in the address of this page." : "");
      return;
    }
    if (this.neverOpened >= 2) this.explain();

    // Exponential, with jitter: a broker that comes back is not met by everybody at once.
    const ceiling = Math.min(MAX_DELAY, FIRST_DELAY * 2 ** (this.failures - 1) * (known.slow ? 8 : 1));
    const delay = opened && code === 1001 ? 1 + Math.random() * 2 : ceiling * (0.5 + Math.random() / 2);
    this.retryAt = performance.now() + delay * 1000;
    this.set("waiting", opened ? (code === 1001 ? known.why : why) : "");
    this.timer = setTimeout(() => this.connect(), delay * 1000);
  }

  /** A browser does not tell a page why a handshake was refused. Whether the broker answers at
   *  all, a plain request can tell. */
  async explain() {
    let answers = true;
    try {
      await fetch("/", { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout?.(4000) });
    } catch {
      answers = false;
    }
    if (this.state === "live") return;
    let words = "the broker does not answer. Is it running?";
    if (answers) {
      words = token
        ? "the broker answers, but refuses the socket. Is the token in ?token=… the one in its WS_TOKEN? Or are too many tabs open?"
        : "the broker answers, but refuses the socket. Is a token needed? Add ?token=… to the address of this page. Or are too many tabs open?";
    }
    hints.set(this.channel, words);
  }

  set(state, detail) {
    const said = `${state === "waiting" ? "reconnecting" : state}${detail ? ", " + detail : ""}.`;
    // Attempts that fail one after the other are not read out each time.
    if (state !== this.state && !(state === "connecting" && this.failures) && !(state === "waiting" && this.failures > 1)) {
      announcer.say(this.channel, said);
    }
    this.state = state;
    this.detail = detail;
    schedule(this);
  }

  /** Called each second. */
  second() {
    this.recent.push(this.thisSecond);
    this.thisSecond = 0;
    if (this.recent.length > 5) this.recent.shift();
    schedule(this);
  }

  get rate() {
    return this.recent.length ? this.recent.reduce((a, b) => a + b, 0) / this.recent.length : 0;
  }

  draw() {
    this.label.dataset.state = this.state;
    this.button.hidden = this.state !== "waiting" && this.state !== "refused";
    const quiet = Math.floor((performance.now() - this.lastAt) / 1000);
    const left = Math.max(0, Math.ceil((this.retryAt - performance.now()) / 1000));
    const words = {
      connecting: "connecting",
      live: quiet < 5 ? "live" : `live, quiet for ${quiet} s`,
      waiting: `${this.detail ? this.detail + "; " : ""}reconnecting in ${left} s`,
      refused: `refused: ${this.detail}`,
    };
    text(this.words, words[this.state]);
    text(
      this.foot,
      `${counted(this.messages, "message")}, ${this.rate.toFixed(1)} per second` +
        (this.unreadable ? `, ${whole.format(this.unreadable)} not understood` : ""),
    );
  }
}

// ---- start ---------------------------------------------------------------------------

// A section of index.html with data-channel is a channel: its name, and where it is shown.
const feeds = [...document.querySelectorAll("[data-channel]")].map((section) => {
  const { channel } = section.dataset;
  const view = channel === "index" ? new IndexChart(section) : new Board(section);
  return new Feed(channel, view, section);
});

const totals = {
  total: document.getElementById("total"),
  rate: document.getElementById("rate"),
  draw() {
    text(this.total, whole.format(feeds.reduce((sum, feed) => sum + feed.messages, 0)));
    text(this.rate, feeds.reduce((sum, feed) => sum + feed.rate, 0).toFixed(1));
  },
};

setInterval(() => {
  for (const feed of feeds) feed.second();
  schedule(totals);
}, 1000);

// The network is back: do not wait for the backoff.
addEventListener("online", () => {
  for (const feed of feeds) if (feed.state === "waiting") feed.connect();
});

for (const box of document.querySelectorAll(".curl")) {
  const button = box.querySelector(".copy");
  const code = box.querySelector("code");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      // Not allowed (a page without TLS on another host): select it, so that one key does it.
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}
