// Judges merkle.js by the project's known answers (IDX1 13). No page loads this: tests do.

import { fromHex, toHex } from "./bytes.js";
import { NoCryptography, leafHash, nodeHash, transactionId, verifyInclusion } from "./merkle.js";

const EMPTY_ROOT = fromHex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

/**
 * Judges the `merkle` and `transactions` sections of a vector file of IDX1 13.
 * Returns {passed, failed: [text]}.
 */
export async function judgeVectors(vectors) {
  const failed = [];
  let passed = 0;
  const judge = (right, name) => (right ? (passed += 1) : failed.push(name));
  const byName = new Map(vectors.transactions.map((item) => [item.name, item.bytes]));
  for (const [number, tree] of vectors.merkle.entries()) {
    const leaves = tree.leaves ?? tree.transactions.map((name) => byName.get(name));
    judge(toHex(await rootOf(leaves.map(fromHex))) === tree.root, `tree ${number}: root`);
    for (const [place, item] of tree.cases.entries()) {
      const leaf = item.leaf ?? leaves[item.index];
      const valid = await holds(fromHex(leaf), fromHex(item.proof), fromHex(tree.root));
      judge(valid === item.valid, `tree ${number}: case ${place}`);
    }
  }
  for (const item of vectors.transactions.filter((one) => one.txid)) {
    judge(toHex(transactionId(fromHex(item.bytes))) === item.txid, `id of ${item.name}`);
  }
  return { passed, failed };
}

async function holds(leaf, proof, root) {
  try {
    await verifyInclusion(leaf, proof, root);
    return true;
  } catch (error) {
    if (error instanceof NoCryptography) {
      throw error;
    }
    return false;
  }
}

async function rootOf(leaves) {
  if (leaves.length === 0) {
    return EMPTY_ROOT;
  }
  let level = await Promise.all(leaves.map(leafHash));
  while (level.length > 1) {
    const parents = [];
    for (let i = 0; i < level.length; i += 2) {
      const pair = i + 1 < level.length;
      parents.push(pair ? await nodeHash(level[i], level[i + 1]) : level[i]);
    }
    level = parents;
  }
  return level[0];
}
