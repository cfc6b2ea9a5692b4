// Where a visitor sees nothing: banks tell their own part to operators alone.

import { element, link } from "./components/element.js";
import { loginPath } from "./components/notice.js";

export function loginNotice(what) {
  return element(
    "p",
    { class: "notice", data: { tone: "quiet" } },
    link(loginPath(), "Log in"),
    ` as operator to see ${what}.`,
  );
}
