// What is known now: the event stream of the server, kept in one store that all pages read.
//
// The stream starts with `hello`, which replaces everything, so that neither a reload nor a lost
// connection loses or doubles a block. Without news for SILENCE_MS the connection counts as lost.

const SILENCE_MS = 6_000;
const RETRY_MS = [500, 1_000, 2_000, 4_000];
const BLOCKS_KEPT = 60;
const SAMPLES_KEPT_MS = 10 * 60_000;

/** Events of the stream, and what each changes in the store. */
const READERS = {
  hello: readHello,
  overview: (store, data) => {
    store.overview = data;
  },
  block: readBlock,
  sample: readSample,
};

export function emptyStore() {
  return {
    // "idle" until asked for; "connecting", "live", "lost"; "refused" if the server wants a login
    connection: "idle",
    hello: null, // as /api/events says it, without samples and blocks
    overview: null, // the newest, null before the first
    blocks: [], // newest first, no height twice
    samples: [], // oldest first, ten minutes
    session: { operator: false, csrf: null, name: null },
  };
}

/** Follows /api/events into `store`; `changed(kind)` is called after every change. */
export class LiveStream {
  constructor(store, changed) {
    this.store = store;
    this.changed = changed;
    this.source = null;
    this.failures = 0;
    this.opened = 0; // how often
    this.timer = null;
    this.watch = null;
  }

  open() {
    this.close();
    this.opened += 1;
    if (this.opened === 1) this.connection("connecting");
    this.source = new EventSource("/api/events");
    for (const kind of Object.keys(READERS)) {
      this.source.addEventListener(kind, (event) => this.receive(kind, event));
    }
    this.source.addEventListener("error", () => this.fail());
    this.listenForSilence();
  }

  close() {
    if (this.source) this.source.close();
    this.source = null;
    clearTimeout(this.timer);
    clearTimeout(this.watch);
  }

  receive(kind, event) {
    READERS[kind](this.store, JSON.parse(event.data));
    this.failures = 0;
    this.listenForSilence();
    this.connection("live");
    this.changed(kind);
  }

  async fail() {
    this.close();
    const failed = this.opened;
    const waitMs = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
    this.failures += 1;
    const refused = await loginWanted();
    if (failed !== this.opened) return; // somebody opened it anew meanwhile
    this.connection(refused ? "refused" : "lost");
    if (!refused) this.timer = setTimeout(() => this.open(), waitMs);
  }

  listenForSilence() {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => this.fail(), SILENCE_MS);
  }

  connection(state) {
    if (this.store.connection === state) return;
    this.store.connection = state;
    this.changed("connection");
  }
}

/** An event source does not tell a status, so a failed one is asked about. */
async function loginWanted() {
  try {
    const answer = await fetch("/api/overview");
    return answer.status === 401 || answer.status === 403;
  } catch {
    return false;
  }
}

function readHello(store, { samples = [], blocks = [], ...hello }) {
  store.hello = hello;
  store.samples = samples;
  store.blocks = blocks;
  if (hello.csrf) store.session.csrf = hello.csrf;
  store.session.operator = Boolean(hello.operator);
}

function readBlock(store, block) {
  if (store.blocks.some((item) => item.height === block.height)) return;
  const blocks = [block, ...store.blocks].sort((one, other) => other.height - one.height);
  store.blocks = blocks.slice(0, BLOCKS_KEPT);
}

function readSample(store, sample) {
  const newest = store.samples.at(-1);
  if (newest && newest.at_ms >= sample.at_ms) return;
  const oldestMs = sample.at_ms - SAMPLES_KEPT_MS;
  store.samples = [...store.samples, sample].filter((item) => item.at_ms >= oldestMs);
}
