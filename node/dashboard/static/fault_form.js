// The form of the faults page: kind, bank, parameters; it hands on what is to be confirmed.

import { element, fill, setText } from "./components/element.js";
import { prose } from "./components/prose.js";
import { FAULT_KINDS, FIELDS } from "./fault_kinds.js";
import { list } from "./format.js";

/**
 * `submit({request, act, effect, facts, loses})` is called when the form is sent. Returns
 * {node, update({banks, kinds, styles, enabled})}.
 */
export function faultForm(submit) {
  const state = { kind: FAULT_KINDS[0], banks: [], styles: [], drawn: "" };
  const places = {
    kinds: element("fieldset", { class: "field fault-kinds" }),
    bank: element("select", { id: "fault-bank", name: "bank", required: true }),
    fields: element("div", { class: "fault-fields" }),
    effect: element("p", { class: "fault-effect" }),
    heal: element("p", { class: "quiet small" }),
    button: element("button", { class: "button", type: "submit", data: { tone: "bad" } }),
  };
  const bankField = field("fault-bank", "Bank", places.bank);
  const form = element("form", { class: "fault-form" });
  form.append(places.kinds, places.effect, places.heal, bankField, places.fields, places.button);
  const choose = (kind) => {
    state.kind = kind;
    drawKind(places, state);
  };
  places.bank.addEventListener("change", () => drawKind(places, state));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(read(places, state));
  });
  const update = (news) => {
    const offered = JSON.stringify([news.banks, news.kinds, news.styles]);
    if (offered !== state.drawn) {
      Object.assign(state, { drawn: offered, banks: news.banks, styles: news.styles });
      drawBanks(places.bank, news.banks);
      drawKinds(places.kinds, kindsOf(news.kinds), state, choose);
      drawKind(places, state);
    }
    for (const control of form.elements) control.disabled = !news.enabled;
  };
  return { node: form, update };
}

/** The kinds that the server offers; all of them while it has not said. */
function kindsOf(offered) {
  const names = offered.map((one) => (typeof one === "string" ? one : one.kind));
  return names.length ? FAULT_KINDS.filter((one) => names.includes(one.kind)) : FAULT_KINDS;
}

function drawBanks(select, banks) {
  const chosen = select.value || new URLSearchParams(location.search).get("bank");
  fill(select, banks.map((bank) => element("option", { value: bank.bank }, bank.name)));
  if (chosen !== null && chosen !== "") select.value = chosen;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
}

function drawKinds(fieldset, kinds, state, choose) {
  const radios = kinds.map((one) => {
    const input = element("input", { type: "radio", name: "kind", value: one.kind });
    input.checked = one.kind === state.kind.kind;
    input.addEventListener("change", () => choose(one));
    const title = element("strong", {}, one.title);
    const words = element("span", { class: "quiet small" }, one.short);
    return element("label", { class: "fault-kind" }, input, title, words);
  });
  fill(fieldset, element("legend", {}, "What to do"), radios);
}

function drawKind({ fields, effect, heal, button, bank }, state) {
  setText(effect, state.kind.effect);
  fill(heal, prose(`Mended by: ${state.kind.heal}`));
  setText(button, `${state.kind.act(nameOf(state, bank.value))} …`);
  const shown = `${state.kind.kind} ${state.drawn} ${bank.value}`;
  if (fields.dataset.shown === shown) return;
  fields.dataset.shown = shown;
  fill(fields, state.kind.fields.map((one) => parameter(one, state, bank.value)));
}

function nameOf({ banks }, value) {
  return banks.find((bank) => String(bank.bank) === value)?.name ?? "a bank";
}

function field(id, label, control, help) {
  return element(
    "div",
    { class: "field" },
    element("label", { for: id }, label),
    control,
    help && element("p", { class: "explanation" }, help),
  );
}

function parameter(name, state, bank) {
  const about = FIELDS[name];
  const id = `fault-${name}`;
  if (name === "peers") return peerChoice(about, state, bank);
  if (name === "style") return styleChoice(id, about, state);
  if (about.choices) {
    const options = about.choices.map(([value, words]) => element("option", { value }, words));
    return field(id, about.label, element("select", { id, name }, options), about.help);
  }
  const unit = about.unit ? ` (${about.unit})` : "";
  const input = element("input", { id, name, type: "number", ...about.number });
  return field(id, about.label + unit, input, about.help);
}

function peerChoice(about, { banks }, bank) {
  const boxes = banks
    .filter((peer) => String(peer.bank) !== bank)
    .map((peer) => {
      const box = element("input", { type: "checkbox", name: "peers", value: peer.bank });
      return element("label", { class: "check" }, box, peer.name);
    });
  return element(
    "fieldset",
    { class: "field" },
    element("legend", {}, about.label),
    element("div", { class: "fault-peers" }, boxes),
    element("p", { class: "explanation" }, about.help),
  );
}

function styleChoice(id, about, { styles }) {
  const options = stylesOf(styles).map(([name]) => element("option", { value: name }, name));
  const select = element("select", { id, name: "style" }, options);
  const help = element("p", { class: "explanation" });
  const tell = () => setText(help, Object.fromEntries(stylesOf(styles))[select.value] ?? "");
  select.addEventListener("change", tell);
  tell();
  const whole = field(id, about.label, select);
  whole.append(help);
  return whole;
}

/** [name, description] of each, whether they came as a list or by name. */
function stylesOf(styles) {
  if (!Array.isArray(styles)) return Object.entries(styles);
  return styles.map((one) =>
    typeof one === "string" ? [one, ""] : [one.name ?? one.style, one.description ?? ""],
  );
}

/** What the form says: the request, and words to confirm it by. */
function read({ bank, fields }, state) {
  const { kind } = state;
  const request = { kind: kind.kind, bank: Number(bank.value) };
  const facts = [];
  for (const name of kind.fields) {
    const value = valueOf(fields, name);
    if (value === null || (Array.isArray(value) && !value.length)) continue;
    request[name] = value;
    facts.push([FIELDS[name].label, shown(name, value, state)]);
  }
  facts.push(["Mended by", element("span", {}, prose(kind.heal))]);
  const act = kind.act(nameOf(state, bank.value));
  return { request, act, effect: kind.effect, facts, loses: losesVote(kind, request) };
}

function losesVote(kind, request) {
  return kind.loses && !(kind.kind === "disconnect" && request.peers);
}

function valueOf(fields, name) {
  if (name === "peers") {
    return [...fields.querySelectorAll("[name=peers]:checked")].map((box) => Number(box.value));
  }
  const control = fields.querySelector(`[name=${name}]`);
  if (!control || control.value === "") return null;
  return control.type === "number" ? Number(control.value) : control.value;
}

function shown(name, value, state) {
  if (name === "peers") return list(value.map((peer) => nameOf(state, String(peer))));
  const about = FIELDS[name];
  const choice = about.choices?.find(([key]) => key === value);
  return choice ? choice[1] : `${value}${about.unit ? ` ${about.unit}` : ""}`;
}
