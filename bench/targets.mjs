// @ts-check
/**
 * What was promised, before it was measured. A row of a question that answers for one of these names it.
 *
 * @typedef {object} Target
 * @property {string} question
 * @property {string} text
 * @property {number} [atLeast]
 * @property {number} [atMost]
 * @property {string} [limit] if it is out of reach: why
 */

const MB = 1e6;

/** @satisfies {Record<string, Target>} */
export const TARGETS = {
  'node-slicing': { question: 'CRC-32C, 1 MiB in memory, Node', text: '≥ 5.5 × our slicing-by-8', atLeast: 5.5 },
  'node-hash-wasm': { question: 'CRC-32C, 1 MiB in memory, Node', text: '≥ 5 × hash-wasm', atLeast: 5 },
  'node-sse4': { question: 'CRC-32C, 1 MiB in memory, Node', text: '≥ 1.0 × sse4_crc32 (native)', atLeast: 1 },
  'chromium-slicing': { question: 'the same in Chromium', text: '≥ 9 × our slicing-by-8', atLeast: 9 },
  'chromium-hash-wasm': {
    question: 'the same in Chromium, bytes that lendBytes lent',
    text: '≥ 8 × hash-wasm',
    atLeast: 8,
  },
  '64k-slicing': { question: '64 KiB', text: '≥ 4 × our slicing-by-8', atLeast: 4 },
  '4k-slicing': { question: '4 KiB', text: 'never slower than our slicing-by-8', atLeast: 1 },
  'scalar-slicing': { question: 'no SIMD, 1 MiB', text: '≥ 3 × slicing-by-8', atLeast: 3 },
  'checksum-sparse': {
    question: 'checksum of 4 TiB virtual with 1 GiB of data',
    text: '≤ 1.2 × the same 1 GiB as a flat image',
    atMost: 1.2,
  },
  threads: {
    question: 'checksum of 4 GiB by as many threads as there are processors',
    text: '≥ 0.9 × what as many plain readers of the file gain over one',
    atLeast: 0.9,
  },
  'threads-compare': {
    question: 'compare two disks of 4 GiB by as many threads',
    text: '≥ 0.9 × what as many plain readers gain',
    atLeast: 0.9,
  },
  'convert-64g': {
    question: 'convert to raw, 64 GiB virtual with 1 GiB of data in 64 places',
    text: '≥ 3 × qemu-img',
    atLeast: 3,
  },
  'convert-4t': {
    question: 'convert to raw, 4 TiB virtual with 1 GiB of data in 64 places',
    text: '≥ 100 × qemu-img',
    atLeast: 100,
  },
  'convert-full': {
    question: 'convert to raw, 4 GiB, all of it data',
    text: '≥ 1.0 × qemu-img',
    atLeast: 1,
    limit:
      'The kernel lets writes into one file take turns: with eight in flight, `perf` saw 23 % of the time go into waiting for the inode’s lock, so that each thread now reads and writes one piece after the other. Besides, Node starts in 0.1 s and a second thread in 0.08, of about 1.5 s.',
  },
  'convert-full-memory': {
    question: 'convert to raw, 4 GiB, all of it data',
    text: 'resident ≤ 150 MB',
    atMost: 150 * MB,
  },
  'into-vhdx-raw': {
    question: 'convert a raw disk of 1 GiB, all of it data, to VHDX',
    text: '≥ 0.9 × qemu-img, which flushes nothing',
    atLeast: 0.9,
  },
  'into-vhdx-memory': {
    question: 'convert a raw disk of 1 GiB, all of it data, to VHDX',
    text: 'resident ≤ 100 MiB',
    atMost: 100 * 1024 * 1024,
  },
  'into-vhdx-64g': {
    question: 'convert to VHDX, 64 GiB virtual with 1 GiB of data in 64 places',
    text: '≥ 3 × qemu-img',
    atLeast: 3,
  },
  'into-vhdx-vhd': {
    question: 'convert a VHD to VHDX, 64 GiB virtual with 1 GiB of data in 64 places',
    text: '≥ 3 × qemu-img',
    atLeast: 3,
    limit:
      'Unlike VHDX, qemu-img reads the holes of a VHD by its table, and takes no longer than 1 GiB of raw data takes it or us (the first rows): a third of that is less than writing the data takes anybody.',
  },
  'reads-sync': { question: 'random reads of 4 KiB, synchronously', text: '≤ 2 × fs.readSync', atMost: 2 },
  'reads-sync-qemu': {
    question: 'random reads of 4 KiB, synchronously',
    text: '≥ 4 × qemu-img bench, one in flight',
    atLeast: 4,
  },
  'reads-1': { question: 'random 4 KiB reads, 1 in flight', text: '≤ 1.15 × fs.read on the raw file', atMost: 1.15 },
  'reads-16': {
    question: 'random 4 KiB reads, 16 in flight',
    text: '≤ 1.15 × fs.read on the raw file',
    atMost: 1.15,
    limit:
      'A read takes 2.6 µs on two busy processors, and the translation and the promise 0.3; from run to run the ratio goes from 1.0 to 1.25.',
  },
  'http-stream': { question: 'sequential read of 256 MiB over HTTP', text: '≥ 0.9 × one plain fetch', atLeast: 0.9 },
  'http-checksum': { question: 'checksum of 256 MiB over HTTP', text: '≥ 0.9 × one plain fetch', atLeast: 0.9 },
  'http-stream-20': {
    question: 'sequential read of 64 MiB over HTTP, 20 ms away',
    text: '≥ 0.9 × four plain ranges at a time',
    atLeast: 0.9,
  },
  'http-read-20': {
    question: '4 KiB anywhere over HTTP, 20 ms away, its BAT page there',
    text: '≤ 1.2 × one plain range: one round trip',
    atMost: 1.2,
  },
  'http-stream-80': {
    question: 'sequential read of 64 MiB over HTTP, 80 ms away',
    text: '≥ 0.9 × four plain ranges at a time',
    atLeast: 0.9,
  },
  'http-read-80': {
    question: '4 KiB anywhere over HTTP, 80 ms away, its BAT page there',
    text: '≤ 1.2 × one plain range: one round trip',
    atMost: 1.2,
  },
  'http-stream-200': {
    question: 'sequential read of 64 MiB over HTTP, 200 ms away',
    text: '≥ 0.9 × four plain ranges at a time',
    atLeast: 0.9,
  },
  'http-read-200': {
    question: '4 KiB anywhere over HTTP, 200 ms away, its BAT page there',
    text: '≤ 1.2 × one plain range: one round trip',
    atMost: 1.2,
  },
  'info-time': { question: 'info, 64 TiB with 1 MiB blocks', text: '≤ bare node -e 0 + 60 ms', atMost: 0.06 },
  'info-memory': { question: 'info, 64 TiB with 1 MiB blocks', text: 'resident ≤ bare node + 25 MB', atMost: 25 * MB },
  'map-empty': { question: 'map --output json there, nothing allocated', text: '≤ 1.5 s', atMost: 1.5 },
  'map-linear': {
    question: 'map --output json there, every second block allocated',
    text: 'linear: 4 TiB ≤ 1.15 × four times 1 TiB',
    atMost: 1.15,
  },
  'map-streamed': {
    question: 'map --output json there, every second block allocated',
    text: 'streamed: first output of 64 TiB within 1.5 s',
    atMost: 1.5,
  },
  'map-memory': {
    question: 'map --output json there, every second block allocated',
    text: 'bounded memory: 4 TiB ≤ 1.15 × 1 TiB',
    atMost: 1.15,
  },
  merge: {
    question: 'merge 1 GiB of changes into a parent of 1 TiB',
    text: '≤ 1.5 × writing them',
    atMost: 1.5,
  },
  'write-sequential': {
    question: 'sequential write of 1 GiB into a new dynamic image, one flush',
    text: '≥ 0.9 × fs.write to a raw file',
    atMost: 1 / 0.9,
  },
  'write-sequential-qemu': {
    question: 'sequential write of 1 GiB into a new dynamic image, one flush',
    text: '≥ 1.5 × qemu-io -t writeback',
    atLeast: 1.5,
  },
  'writes-1': {
    question: 'random 4 KiB writes into stored blocks, 1 in flight',
    text: '≤ 1.15 × fs.write',
    atMost: 1.15,
  },
  'writes-16': {
    question: 'random 4 KiB writes into stored blocks, 16 in flight',
    text: '≤ 1.15 × fs.write',
    atMost: 1.15,
    limit:
      'Both processors are busy: by `--cpu-prof` 54 % of the main thread’s time is Node’s own call that hands a write to its threads, 27 % is waiting, and 8 % are the translation, the guard of the block and the promises. From run to run the ratio goes from 1.1 to 1.65.',
  },
  'write-syncs': { question: '4 KiB into new blocks, a flush each', text: '≤ 3 syncs each', atMost: 3 },
  'write-new-blocks': {
    question: '4 KiB into new blocks, a flush each, on a disk that syncs',
    text: '≥ 2 × qemu-io -t writeback',
    atLeast: 2,
  },
  'write-shared': { question: '64 writers, each flushing, on a disk that syncs', text: '≥ 8 × one writer', atLeast: 8 },
  'create-64t': {
    question: 'create 64 TiB with 1 MiB blocks',
    text: '≤ 1.3 × writing its BAT and one sync',
    atMost: 1.3,
  },
  'write-memory': {
    question: 'memory of a write session, 64 TiB',
    text: '≤ 32 MiB beyond reading',
    atMost: 32 * 2 ** 20,
  },
  compact: {
    question: 'compact an image of which every second block is free',
    text: '≥ 0.7 × copying the bytes that must move',
    atLeast: 0.7,
    limit:
      'Cutting the file takes nearly half of the time where files are in memory: the row below is beside copying and cutting.',
  },
  'resize-time': { question: 'grow 1 TiB to 2 TiB with 1 MiB blocks: the BAT moves', text: '≤ 0.5 s', atMost: 0.5 },
  'resize-memory': {
    question: 'grow 1 TiB to 2 TiB with 1 MiB blocks: the BAT moves',
    text: 'resident ≤ 64 MiB',
    atMost: 64 * 2 ** 20,
    limit: 'Node alone takes 41 MB, and an image that is opened and scanned 18 more.',
  },
  files: {
    question: 'a file of 100 MiB in ext4 of 1 TiB',
    text: '≤ 1.5 × reading its bytes from a raw file',
    atMost: 1.5,
  },
  'files-memory': {
    question: 'a file of 100 MiB in ext4 of 1 TiB',
    text: 'resident ≤ 32 MiB beyond vhdx info',
    atMost: 32 * 2 ** 20,
  },
  'page-file': {
    question: 'CRC-32C of a file in a page, Chromium',
    text: '≤ 1.1 × reading the file by slices',
    atMost: 1.1,
  },
  'page-file-firefox': {
    question: 'the same in Firefox',
    text: '≤ 1.1 × reading the file by slices',
    atMost: 1.1,
  },
  'page-stream': {
    question: 'vhdxStream of 256 MiB of data in a page, Chromium',
    text: '≥ 0.7 × reading the file by slices',
    atLeast: 0.7,
  },
  'page-stream-zeros': {
    question: 'vhdxStream of 256 MiB, half of it zeros, in a page, Chromium',
    text: '≥ 0.45 × reading the file by slices',
    atLeast: 0.45,
  },
  'nbd-sparse': { question: 'nbdcopy of 64 GiB with 64 MiB of data', text: '≥ 10 × qemu-nbd', atLeast: 10 },
  'nbd-dense': { question: 'nbdcopy of 4 GiB, all of it data', text: '≥ 0.7 × qemu-nbd', atLeast: 0.7 },
  'nbd-reads': { question: '4 KiB reads over NBD, 16 in flight', text: '≥ 0.5 × qemu-nbd', atLeast: 0.5 },
  'nbd-writes': { question: '4 KiB writes over NBD, a flush each', text: '≥ 1 × qemu-nbd', atLeast: 1 },
  'bundle-open': {
    question: 'what a page must load that opens a File, reads and sums it, gzipped',
    text: '≤ 24 KB',
    atMost: 24 * 1024,
    limit:
      'All 102 sentences about broken structures together are 1.6 KB, so that loading them later would leave 26.6. The SIMD core has 3.7, the scan of the BAT, without which the bytes of two blocks in one place would be served, 3.6 by itself, the loader and Vite’s helper 2.2; the rest are forty modules that each read needs, none with more than 2.2.',
  },
  'bundle-size': {
    question: 'browser bundle of the library, wasm inline, minified and gzipped',
    text: '≤ 20 KB',
    atMost: 20 * 1024,
    limit:
      'Gzipped, the SIMD core has 3.8 KB, the loader and Vite’s helper for `import()` 1.9, the table of rules 1.3. The other 20 KB that a page loads which opens an image are spread over fifty modules, none with more than 2.6.',
  },
};

/** @typedef {keyof typeof TARGETS} TargetName */

/** @param {TargetName} name @param {number} value */
export function isMet(name, value) {
  const { atLeast = -Infinity, atMost = Infinity } = /** @type {Target} */ (TARGETS[name]);
  return value >= atLeast && value <= atMost;
}
