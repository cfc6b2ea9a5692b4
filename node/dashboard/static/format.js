// Numbers, money, ids, times and durations as people read them. Pure functions of their arguments;
// whatever is not known (null, undefined, not a number) is NOTHING, never 0.

export const NOTHING = "–";

const INTEGER = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TWO_DIGITS = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const CLOCK = new Intl.DateTimeFormat("en-GB", TWO_DIGITS);
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];

export function known(value) {
  return value !== null && value !== undefined && !Number.isNaN(value);
}

/** 12345 -> "12,345". */
export function integer(value) {
  return known(value) ? INTEGER.format(value) : NOTHING;
}

/** A rate or a mean: three digits that count, 0.25, 3.4, 128. */
export function decimal(value) {
  if (!known(value)) return NOTHING;
  const size = Math.abs(value);
  const digits = size === 0 || size >= 100 ? 0 : size >= 1 ? 1 : 2;
  return value.toLocaleString("en", {
    minimumFractionDigits: digits === 2 ? 0 : digits,
    maximumFractionDigits: digits,
  });
}

/** Minor units of an asset {code, decimals}, exactly: 123456 -> "1,234.56 CBU". */
export function money(minorUnits, asset) {
  if (!known(minorUnits)) return NOTHING;
  if (!asset) return `${integer(minorUnits)} minor units`;
  return `${amount(minorUnits, asset)} ${asset.code}`;
}

/** The same without the code, for columns whose heading names it. */
export function amount(minorUnits, asset) {
  if (!known(minorUnits)) return NOTHING;
  const value = BigInt(minorUnits);
  const decimals = asset ? asset.decimals : 0;
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, "0");
  const major = INTEGER.format(BigInt(digits.slice(0, digits.length - decimals)));
  const minor = decimals ? `.${digits.slice(-decimals)}` : "";
  return `${value < 0n ? "−" : ""}${major}${minor}`;
}

/** The first and last digits of an id: "3fa9c1d2…77e0". */
export function shortId(hex) {
  if (!hex) return NOTHING;
  return hex.length <= 16 ? hex : `${hex.slice(0, 8)}…${hex.slice(-4)}`;
}

/** 2 -> "2 banks", 1 -> "1 bank"; the plural may be given. */
export function count(value, noun, plural = `${noun}s`) {
  return `${integer(value)} ${value === 1 ? noun : plural}`;
}

/** Powers of 1000: 152_000_000 -> "152 MB". */
export function bytes(value) {
  if (!known(value)) return NOTHING;
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 999.5 && unit < BYTE_UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const text = unit === 0 || size >= 100 ? INTEGER.format(size) : size.toFixed(1);
  return `${text} ${BYTE_UNITS[unit]}`;
}

/** 0.4 -> "0.4 ms", 850 -> "850 ms", 2400 -> "2.4 s", 190_000 -> "3 min 10 s". */
export function duration(milliseconds) {
  if (!known(milliseconds)) return NOTHING;
  if (milliseconds < 0) return `−${duration(-milliseconds)}`;
  if (milliseconds < 10) return `${Number(milliseconds.toFixed(1))} ms`;
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 3600) return twoUnits(seconds, 60, "min", "s");
  if (seconds < 86_400) return twoUnits(Math.round(seconds / 60), 60, "h", "min");
  return twoUnits(Math.round(seconds / 3600), 24, "d", "h");
}

export function durationOfMicroseconds(microseconds) {
  return known(microseconds) ? duration(microseconds / 1000) : NOTHING;
}

/** "2.4 s ago". */
export function age(milliseconds) {
  return known(milliseconds) ? `${duration(Math.max(0, milliseconds))} ago` : NOTHING;
}

/** Unix milliseconds -> "14:03:22" in the reader's time zone. */
export function clock(unixMilliseconds) {
  return known(unixMilliseconds) ? CLOCK.format(unixMilliseconds) : NOTHING;
}

/** Unix milliseconds -> "2026-11-22 14:03:22" in the reader's time zone. */
export function dateTime(unixMilliseconds) {
  if (!known(unixMilliseconds)) return NOTHING;
  const time = new Date(unixMilliseconds);
  const parts = [time.getFullYear(), time.getMonth() + 1, time.getDate()];
  const date = parts.map((part) => String(part).padStart(2, "0")).join("-");
  return `${date} ${clock(unixMilliseconds)}`;
}

/** 12.34 -> "12 %", 3.4 -> "3.4 %". */
export function percent(value) {
  return known(value) ? `${decimal(value)} %` : NOTHING;
}

/** "3 of 12". */
export function share(part, whole) {
  return `${integer(part)} of ${integer(whole)}`;
}

/** ["a", "b", "c"] -> "a, b and c". */
export function list(words) {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** A name of the interface as words: "timed-out" -> "Timed out". */
export function sentence(name) {
  return capital(String(name ?? "").replaceAll(/[-_]/g, " "));
}

/** The first letter large, nothing else changed. */
export function capital(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : NOTHING;
}

function twoUnits(value, base, large, small) {
  const rest = value % base;
  return `${INTEGER.format(Math.floor(value / base))} ${large}${rest ? ` ${rest} ${small}` : ""}`;
}
