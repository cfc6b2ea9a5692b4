// What can be broken: the names and parameters of `consortium fault`, and what each does in words.
//
// `act` names it with its bank; `fields` are the parameters in order; `loses` says whether the
// bank's vote is missing afterwards.

export const FAULT_KINDS = [
  {
    kind: "crash",
    title: "Crash",
    act: (name) => `Crash ${name}`,
    short: "kill its process (kill -9)",
    effect: "The process ends at once, in the middle of its work. Nothing it signed is lost.",
    heal: "Starting it again: it reads its journal, catches up and votes.",
    fields: [],
    loses: true,
  },
  {
    kind: "stop",
    title: "Stop",
    act: (name) => `Stop ${name}`,
    short: "end its process in good order",
    effect: "The process finishes what it is doing and ends.",
    heal: "Starting it again.",
    fields: [],
    loses: true,
  },
  {
    kind: "pause",
    title: "Pause",
    act: (name) => `Pause ${name}`,
    short: "freeze its process (SIGSTOP)",
    effect: "The process stops in its tracks: its links stay up, it says nothing.",
    heal: "Resuming it: it goes on where it stood and catches up.",
    fields: [],
    loses: true,
  },
  {
    kind: "disconnect",
    title: "Disconnect",
    act: (name) => `Disconnect ${name}`,
    short: "cut its links with other banks",
    effect: "The links are cut both ways or one. Cut from too many, it does not vote any more.",
    heal: "Healing it: the links come back by themselves.",
    fields: ["peers", "direction"],
    loses: true,
  },
  {
    kind: "slow",
    title: "Slow links",
    act: (name) => `Slow the links of ${name}`,
    short: "delay, jitter and loss on its links",
    effect: "Every message on the links arrives later, at uneven times, or not at all.",
    heal: "Healing it.",
    fields: ["peers", "direction", "delay_ms", "jitter_ms", "loss_percent"],
    loses: false,
  },
  {
    kind: "byzantine",
    title: "Lie",
    act: (name) => `Have ${name} lie`,
    short: "have it cheat, with its own keys",
    effect:
      "It lies to the others in the chosen style. Honest banks go on without it; what proves the " +
      "lie is kept as evidence and costs it stake, which healing does not give back.",
    heal: "Healing it: it is honest again.",
    fields: ["style", "seed"],
    loses: true,
  },
  {
    kind: "corrupt",
    title: "Corrupt a row",
    act: (name) => `Corrupt a row of ${name}`,
    short: "change a stored row by SQL",
    effect:
      "A row in the bank's own database is changed behind its back. It finds out by itself, " +
      "halts and signs nothing more.",
    heal: "Only rebuilding it from the other banks: `consortium node rebuild`.",
    fields: ["row", "height"],
    loses: true,
  },
];

export const FIELDS = {
  peers: { label: "With which banks", help: "None chosen: with all of them." },
  direction: {
    label: "Direction",
    choices: [
      ["both", "both ways"],
      ["in", "only what it receives"],
      ["out", "only what it sends"],
    ],
  },
  delay_ms: { label: "Delay", unit: "ms", number: { min: 0, max: 60_000, value: 300 } },
  jitter_ms: { label: "Jitter, up to", unit: "ms", number: { min: 0, max: 60_000, value: 0 } },
  loss_percent: { label: "Lost", unit: "%", number: { min: 0, max: 100, value: 0, step: 0.1 } },
  style: { label: "Style of lying", choices: [] },
  seed: { label: "Seed", help: "For what is left to chance.", number: { min: 0, value: 0 } },
  row: {
    label: "Which row",
    choices: ["block", "seal", "state", "consensus", "transaction", "nullifier", "evidence"].map(
      (row) => [row, row],
    ),
  },
  height: { label: "Of which block", help: "Empty: of the newest.", number: { min: 1 } },
};

/** How a listed fault is ended: the kind to send and the button's word; null if not from here. */
export const REMEDIES = {
  exited: { kind: "start", words: "Start" },
  paused: { kind: "resume", words: "Resume" },
  disconnect: { kind: "heal", words: "Heal" },
  slow: { kind: "heal", words: "Heal" },
  byzantine: { kind: "heal", words: "Heal" },
  corrupt: null,
};
