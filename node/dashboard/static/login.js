// Logging in with the token that the starting command printed, by itself when the address has it.

import { element, fill, setText } from "./components/element.js";
import { failureNotice } from "./components/notice.js";

export function render(root, context) {
  context.setTitle("Log in");
  const answer = element("div", { "aria-live": "polite" });
  const field = element("input", {
    id: "token",
    name: "token",
    type: "password",
    autocomplete: "current-password",
    required: true,
    maxlength: 500,
  });
  const button = element("button", { class: "button", type: "submit" }, "Log in");
  const form = element(
    "form",
    { class: "login-form" },
    element("div", { class: "field" }, element("label", { for: "token" }, "Login token"), field),
    button,
  );
  const submit = async (token) => {
    button.disabled = true;
    const failure = await logIn(token, context);
    button.disabled = false;
    if (failure) fill(answer, failureNotice(failure));
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(field.value.trim());
  });
  const who = element("p", { class: "quiet" });
  fill(root, element("h1", {}, "Log in"), explanation(), form, answer, who);
  const token = tokenOfAddress();
  if (token) submit(token);
  const update = () => {
    const { session } = context.store;
    setText(who, session.operator ? `You are logged in as ${session.name ?? "operator"}.` : "");
  };
  update();
  return { update };
}

function explanation() {
  return element(
    "p",
    { class: "lead" },
    "Banks tell their operators alone who voted, how their links and their memory are and what ",
    "alarms them; and only operators may break banks. The token is part of the address that ",
    element("code", {}, "consortium up"),
    " and ",
    element("code", {}, "consortium dashboard"),
    " print.",
  );
}

/** Returns the failure, or null after moving on to where the reader came from. */
async function logIn(token, context) {
  try {
    await context.postJson("/api/login", { token });
  } catch (failure) {
    return failure;
  }
  await context.renewSession();
  context.reconnect();
  context.announce("You are logged in");
  context.navigate(wayBack(context.query), { replace: true });
  return null;
}

/** The token stands in the fragment, which no server and no log sees; it leaves the history too. */
function tokenOfAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) history.replaceState(null, "", location.pathname + location.search);
  return token;
}

/** A path of this page and nothing else. */
function wayBack(query) {
  const from = query.get("from") ?? "/";
  return /^\/(?![/\\])/.test(from) && !from.startsWith("/login") ? from : "/";
}
