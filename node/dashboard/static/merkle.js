// That a transaction is in a block, recomputed here from bytes alone. Nothing a server says about
// the place, the size or the root is believed: the size and the root are read from the header's own
// bytes (BFT-12 2 and 3), the path is walked by IDX1 11.3, and the id is the hash of the bytes
// (IDX1 5.5). What this does not check: that the header is sealed, which the ballots prove.

import { blake2b512 } from "./blake2b.js";
import { Reader, concatenate, fromHex, sameBytes, toHex } from "./bytes.js";

export class ProofInvalid extends Error {}
export class NoCryptography extends Error {}

const HASH_BYTES = 32;
const HEADER_DOMAIN = new TextEncoder().encode("bft12/1/header");

async function sha256(bytes) {
  const subtle = globalThis.crypto?.subtle;
  if (subtle === undefined) {
    throw new NoCryptography(
      "this browser offers cryptography only to pages from https or from localhost",
    );
  }
  return new Uint8Array(await subtle.digest("SHA-256", bytes));
}

/** SHA-256(0x00 || leaf) (IDX1 11.1). */
export function leafHash(leaf) {
  return sha256(concatenate(Uint8Array.of(0), leaf));
}

/** SHA-256(0x01 || left || right) (IDX1 11.1). */
export function nodeHash(left, right) {
  return sha256(concatenate(Uint8Array.of(1), left, right));
}

/** hash32("IDX1/txid", bytes) (IDX1 1.1, 1.2 and 5.5). */
export function transactionId(bytes) {
  const tag = new TextEncoder().encode("IDX1/txid");
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length, true);
  const frame = concatenate(Uint8Array.of(tag.length), tag, length, bytes);
  return blake2b512(frame).slice(0, HASH_BYTES);
}

/** The fields of a canonical block header (BFT-12 2 and 3), with its id; throws MalformedBytes. */
export async function readHeader(bytes) {
  const reader = new Reader(bytes);
  const length = Number(reader.unsigned(4));
  if (length !== HEADER_DOMAIN.length || !sameBytes(reader.fixed(length), HEADER_DOMAIN)) {
    throw new ProofInvalid("these bytes are not a block header");
  }
  const header = {
    chainId: reader.fixed(HASH_BYTES),
    height: reader.unsigned(8),
    parentId: reader.fixed(HASH_BYTES),
    originalView: Number(reader.unsigned(4)),
    proposer: Number(reader.unsigned(2)),
    timeMs: reader.unsigned(8),
    transactionsRoot: reader.fixed(HASH_BYTES),
    evidenceRoot: reader.fixed(HASH_BYTES),
    ballotsRoot: reader.fixed(HASH_BYTES),
    transactionCount: Number(reader.unsigned(4)),
    postStateRoot: reader.fixed(HASH_BYTES),
    nextSetHash: reader.fixed(HASH_BYTES),
  };
  reader.finish();
  return { ...header, blockId: await sha256(bytes) };
}

/**
 * Walks from a leaf's hash to the root (IDX1 11.3). `index` and `size` are BigInts.
 * Returns {root, steps: [{side: "left" | "right", sibling, result}]}; throws ProofInvalid.
 */
export async function walkPath(leaf, index, size, siblings) {
  if (index < 0n || index >= size) {
    throw new ProofInvalid(`place ${index} is outside a tree of ${size} leaves`);
  }
  let [first, last, computed] = [index, size - 1n, await leafHash(leaf)];
  const steps = [];
  for (const sibling of siblings) {
    if (sibling.length !== HASH_BYTES) {
      throw new ProofInvalid(`a hash of the path has ${sibling.length} bytes, not ${HASH_BYTES}`);
    }
    if (last === 0n) {
      throw new ProofInvalid("the path has more hashes than the tree has levels");
    }
    const side = first % 2n === 1n || first === last ? "left" : "right";
    if (side === "left") {
      computed = await nodeHash(sibling, computed);
      while (first % 2n === 0n && first !== 0n) {
        first /= 2n;
        last /= 2n;
      }
    } else {
      computed = await nodeHash(computed, sibling);
    }
    steps.push({ side, sibling, result: computed });
    first /= 2n;
    last /= 2n;
  }
  if (last !== 0n) {
    throw new ProofInvalid("the path has fewer hashes than the tree has levels");
  }
  return { root: computed, steps };
}

/** Checks the canonical bytes of an inclusion proof (IDX1 11.2, 11.3); throws if it is invalid. */
export async function verifyInclusion(leaf, proof, root) {
  const reader = new Reader(proof);
  const [index, size] = [reader.unsignedLittle(8), reader.unsignedLittle(8)];
  const count = Number(reader.unsigned(1));
  const siblings = [];
  for (let i = 0; i < count; i += 1) {
    siblings.push(reader.fixed(HASH_BYTES));
  }
  reader.finish();
  const walked = await walkPath(leaf, index, size, siblings);
  if (!sameBytes(walked.root, root)) {
    throw new ProofInvalid("the path leads to another root");
  }
}

/**
 * Checks what GET /api/transactions/{id} answers as `proof`, for the id that was asked for, on the
 * chain `chainId` (hexadecimal; not compared when absent).
 * Returns {checks: [{name, passed, found, expected}], steps, header}; never throws for a proof that
 * is wrong: the check that failed says so, and those that need its result are absent.
 */
export async function verifyTransaction(wantedId, proof, chainId) {
  const checks = [];
  const note = (name, found, expected) => {
    checks.push({ name, found, expected, passed: found === expected });
  };
  try {
    const preimage = fromHex(proof.leaf_preimage_hex);
    const transaction = preimage.slice(1);
    note("domain", toHex(preimage.slice(0, 1)), "00");
    note("id", toHex(transactionId(transaction)), wantedId);
    note("leaf", toHex(await leafHash(transaction)), proof.leaf_hash);
    const header = await readHeader(fromHex(proof.header_hex));
    if (chainId) {
      note("chain", toHex(header.chainId), chainId);
    }
    const siblings = proof.siblings.map(fromHex);
    const size = BigInt(header.transactionCount);
    const path = await walkPath(transaction, BigInt(proof.index), size, siblings);
    note("root", toHex(path.root), toHex(header.transactionsRoot));
    note("block", toHex(header.blockId), proof.block_id);
    note("height", String(header.height), String(proof.height));
    return { checks, steps: path.steps, header };
  } catch (error) {
    if (error instanceof NoCryptography) {
      throw error;
    }
    checks.push({ name: "form", found: error.message, expected: "", passed: false });
    return { checks, steps: [], header: null };
  }
}
