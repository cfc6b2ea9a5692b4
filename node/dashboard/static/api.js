// Questions to the server. Every failure is a `RequestFailed` with words for the reader.

export class RequestFailed extends Error {
  constructor(status, { code = "failed", message = "The server gave no reason", next = "" } = {}) {
    super(message);
    this.name = "RequestFailed";
    this.status = status; // 0: no answer at all
    this.code = code;
    this.next = next; // what to do about it, may be empty
  }
}

/** GET a JSON answer; throws RequestFailed, or AbortError when the signal ends it. */
export async function fetchJson(path, signal) {
  return read(await ask(path, { signal, headers: { Accept: "application/json" } }));
}

/** POST JSON with the session's token; throws RequestFailed. */
export async function postJson(path, body, csrf) {
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  if (csrf) headers["X-CSRF-Token"] = csrf;
  return read(await ask(path, { method: "POST", headers, body: JSON.stringify(body ?? {}) }));
}

async function ask(path, options) {
  try {
    return await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new RequestFailed(0, {
      code: "no-answer",
      message: "The page's server does not answer",
      next: "Is `consortium up` still running? This page tries again by itself.",
    });
  }
}

async function read(answer) {
  let body = null;
  try {
    body = await answer.json();
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
  }
  if (answer.ok && body !== null) return body;
  throw new RequestFailed(answer.status, body?.error);
}
