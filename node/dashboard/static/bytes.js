// Bytes, hexadecimal and the canonical fields of the ledger's own encodings (big-endian).

export class MalformedBytes extends Error {}

const HEX = /^(?:[0-9a-f]{2})*$/;

export function fromHex(text) {
  if (typeof text !== "string" || !HEX.test(text)) {
    throw new MalformedBytes("this is not lower-case hexadecimal");
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i += 1) {
    bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function concatenate(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

export function sameBytes(one, other) {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

/** Reads canonical fields in order; throws MalformedBytes at anything else. */
export class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.offset = 0;
  }

  fixed(length) {
    const end = this.offset + length;
    if (end > this.bytes.length) {
      throw new MalformedBytes(
        `${length} bytes wanted at offset ${this.offset} of ${this.bytes.length}`,
      );
    }
    const taken = this.bytes.slice(this.offset, end);
    this.offset = end;
    return taken;
  }

  unsigned(length) {
    return this.fixed(length).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  /** Little-endian, as IDX1 has it. */
  unsignedLittle(length) {
    return this.fixed(length).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  finish() {
    if (this.offset !== this.bytes.length) {
      throw new MalformedBytes(`${this.bytes.length - this.offset} bytes follow the value`);
    }
  }
}
