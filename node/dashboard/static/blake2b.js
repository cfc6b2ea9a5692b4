// BLAKE2b-512 without a key (RFC 7693). WebCrypto lacks it, and a transaction's id is made with it.

const BLOCK_BYTES = 128;
const INITIAL = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const SCHEDULE = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8",
  "905724afe1bc683d", "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a",
  "6fe9b308c2d714a5", "a2847615fb9e3cd0", "0123456789abcdef", "ea489fd61c02b753",
].map((row) => Array.from(row, (digit) => parseInt(digit, 16)));
const QUARTETS = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];

/** 64 bytes. Assigning to a BigUint64Array reduces modulo 2^64. */
export function blake2b512(message) {
  const state = BigUint64Array.from(INITIAL);
  state[0] ^= 0x01010040n;
  const count = Math.max(1, Math.ceil(message.length / BLOCK_BYTES));
  const padded = new Uint8Array(count * BLOCK_BYTES);
  padded.set(message);
  for (let block = 0; block < count; block += 1) {
    const start = block * BLOCK_BYTES;
    const last = block === count - 1;
    compress(state, words(padded, start), last ? message.length : start + BLOCK_BYTES, last);
  }
  const digest = new DataView(new ArrayBuffer(64));
  state.forEach((word, i) => digest.setBigUint64(8 * i, word, true));
  return new Uint8Array(digest.buffer);
}

function words(bytes, start) {
  const view = new DataView(bytes.buffer, start, BLOCK_BYTES);
  return Array.from({ length: 16 }, (_, i) => view.getBigUint64(8 * i, true));
}

function compress(state, message, bytesSoFar, last) {
  const v = new BigUint64Array([...state, ...INITIAL]);
  v[12] ^= BigInt(bytesSoFar);
  if (last) {
    v[14] = ~v[14];
  }
  for (const order of SCHEDULE) {
    QUARTETS.forEach(([a, b, c, d], i) => {
      v[a] = v[a] + v[b] + message[order[2 * i]];
      v[d] = rotate(v[d] ^ v[a], 32n);
      v[c] += v[d];
      v[b] = rotate(v[b] ^ v[c], 24n);
      v[a] = v[a] + v[b] + message[order[2 * i + 1]];
      v[d] = rotate(v[d] ^ v[a], 16n);
      v[c] += v[d];
      v[b] = rotate(v[b] ^ v[c], 63n);
    });
  }
  for (let i = 0; i < 8; i += 1) {
    state[i] ^= v[i] ^ v[i + 8];
  }
}

function rotate(word, bits) {
  return (word >> bits) | (word << (64n - bits));
}
