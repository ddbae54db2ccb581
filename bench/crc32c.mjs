// @ts-check
import { KiB, MiB } from './images.mjs';
import { installPeers, loadPeer } from './peers.mjs';
import { rate, speedRow } from './rows.mjs';
import { Runs } from './turns.mjs';

/** How fast are bytes in memory summed, in Node? @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask() {
  installPeers();
  const { others, leftOut } = nativePeers();
  const { contest } = await import('./crc32c-contest.mjs');
  const peers = ['hash-wasm', '@aws-crypto/crc32c', 'JavaScript slicing-by-8', ...Object.keys(others)];

  /** @type {import('./rows.mjs').Row[]} */
  const rows = [];
  for (const [size, name, targets] of sizes) {
    const runs = new Runs(await contest({ size, rounds: 15, seconds: 12, others }));
    const common = { runs, figure: rate(size) };
    const row = (/** @type {string} */ label, /** @type {string} */ ours, /** @type {string} */ theirs) =>
      speedRow({ what: `${name}, ${label}`, ours, theirs, target: targets[`${ours}/${theirs}`], ...common });
    rows.push(
      row('kernel', 'kernel', 'our slicing-by-8'),
      row('kernel, no SIMD', 'kernel, no SIMD', 'our slicing-by-8, no SIMD'),
      row('kernel, no WebAssembly', 'kernel, no WebAssembly', 'JavaScript slicing-by-8'),
      ...peers.map((peer) => row('as called', 'vhdx', peer)),
      row('as called, bytes that lendBytes lent', 'vhdx, lent bytes', 'hash-wasm'),
    );
  }
  return {
    title: 'CRC-32C of bytes in memory',
    notes: [
      '“Kernel” sums bytes that lie in the core’s memory already, as payload does. “As called” sums bytes of the caller, which have to be copied there; the peers’ turns are their public calls too. Bytes that `lendBytes` lent are where a file is read into, and are not copied.',
      'sse4_crc32 and @node-rs/crc32 are native code and use the processor’s crc32 instruction.',
    ],
    rows,
    leftOut,
  };
}

/** @type {[number, string, Partial<Record<string, import('./targets.mjs').TargetName>>][]} */
const sizes = [
  [
    1 * MiB,
    '1 MiB',
    {
      'kernel/our slicing-by-8': 'node-slicing',
      'vhdx/hash-wasm': 'node-hash-wasm',
      'vhdx/sse4_crc32': 'node-sse4',
      'kernel, no SIMD/our slicing-by-8, no SIMD': 'scalar-slicing',
    },
  ],
  [64 * KiB, '64 KiB', { 'kernel/our slicing-by-8': '64k-slicing' }],
  [4 * KiB, '4 KiB', { 'kernel/our slicing-by-8': '4k-slicing' }],
];

function nativePeers() {
  /** @type {Record<string, (bytes: Uint8Array) => number>} */
  const others = {};
  /** @type {string[]} */
  const leftOut = [];
  const calls = {
    '@node-rs/crc32': (/** @type {any} */ peer) => (/** @type {Uint8Array} */ bytes) => peer.crc32c(bytes),
    sse4_crc32: (/** @type {any} */ peer) => (/** @type {Uint8Array} */ bytes) => peer.calculate(bytes) >>> 0,
  };
  for (const [name, call] of Object.entries(calls)) {
    const { peer, missing } = loadPeer(name);
    if (missing) leftOut.push(missing);
    else if (peer.hardware_support === false) leftOut.push(`${name} (this processor has no crc32 instruction)`);
    else others[name] = call(peer);
  }
  return { others, leftOut };
}
