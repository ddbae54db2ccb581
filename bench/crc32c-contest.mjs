/**
 * The contest of CRC-32C that runs in every engine: in Node as it is, in the others from a bundle.
 * Not type-checked: its peers are installed by the benchmark only.
 */
import { crc32c as aws } from '@aws-crypto/crc32c';
import { createCRC32 } from 'hash-wasm';
import { BUFFERS } from '../dist/core/core-memory.generated.js';
import { instantiateCore } from '../dist/core/instance.js';
import { Crc32c, lendBytes } from '../dist/index.js';
import { jsSlicingBy8 } from './js-slicing-by-8.mjs';
import { takeTurns } from './turns.mjs';

/** A turn takes at least so long: enough for the clock of a browser, which is coarse. In ms. */
const TURN = 25;

/**
 * Those who take part everywhere: what we export, the core's kernels on bytes in its own memory, and peers without
 * native code. Each sums the same bytes.
 *
 * @param {Uint8Array} bytes
 * @returns {Promise<Record<string, () => number>>}
 */
async function portable(bytes) {
  const turns = {};
  const whole = await Crc32c.create();
  turns['vhdx'] = () => whole.update(bytes).digest();
  const lent = (await lendBytes()).bytes.subarray(0, bytes.length);
  lent.set(bytes); // as a read of a file would
  const arrived = await Crc32c.create();
  turns['vhdx, lent bytes'] = () => arrived.update(lent).digest();
  for (const [kind, kernel, tables] of [
    ['simd', 'kernel', 'our slicing-by-8'],
    ['scalar', 'kernel, no SIMD', 'our slicing-by-8, no SIMD'],
    ['javascript', 'kernel, no WebAssembly', undefined],
  ]) {
    const core = await instantiateCore(kind);
    // The buffers of the core are side by side: 8 MiB.
    core.bytes.set(bytes, BUFFERS);
    turns[kernel] = () => core.exports.crc32c(0, BUFFERS, bytes.length);
    if (tables) turns[tables] = () => core.exports.crc32cSlicing(0, BUFFERS, bytes.length);
  }
  const hasher = await createCRC32(0x82f63b78);
  turns['hash-wasm'] = () => Number.parseInt(hasher.init().update(bytes).digest(), 16);
  turns['@aws-crypto/crc32c'] = () => aws(bytes);
  turns['JavaScript slicing-by-8'] = () => jsSlicingBy8(bytes);
  return turns;
}

/**
 * Lets all take turns. Returns seconds a call, a round each. Throws if one of them sums wrongly.
 *
 * @param {{ size: number, rounds: number, seconds?: number, others?: Record<string, (bytes: Uint8Array) => number> }} options
 * @returns {Promise<Record<string, number[]>>}
 */
export async function contest({ size, rounds, seconds, others = {} }) {
  const bytes = new Uint8Array(size);
  for (let i = 0, state = 1; i < size; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 16;
  }
  const right = jsSlicingBy8(bytes);
  const turns = await portable(bytes);
  for (const [name, sum] of Object.entries(others)) turns[name] = () => sum(bytes);
  const contestants = {};
  for (const [name, sum] of Object.entries(turns)) {
    // Asked first, every one of them sums from nothing.
    const said = sum();
    if (said !== right) throw new Error(`${name} says ${said}, and it is ${right}`);
    const calls = callsFor(sum);
    contestants[name] = () => {
      const start = performance.now();
      for (let i = 0; i < calls; i++) sum();
      return (performance.now() - start) / 1000 / calls;
    };
  }
  return (await takeTurns(contestants, { rounds, seconds })).figures;
}

/** How many calls make a turn. @param {() => number} sum */
function callsFor(sum) {
  for (let calls = 1; ; calls *= 2) {
    const start = performance.now();
    for (let i = 0; i < calls; i++) sum();
    const taken = performance.now() - start;
    if (taken >= TURN) return Math.ceil((calls * TURN) / taken);
  }
}
