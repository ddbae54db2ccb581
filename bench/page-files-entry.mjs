// @ts-check
/**
 * What the page of the question page-files runs, and its workers: a file that a person chose is read, summed, and made a
 * VHDX. Where nobody can choose one, the files are fetched into the origin private file system first.
 */
import { checksumFile, crc32cCombine, openVhdx, vhdxStream } from '../dist/index.js';
import { takeTurns } from './turns.mjs';

const MiB = 2 ** 20;
const PIECE = 4 * MiB;
const LANES = 4;
/** Bytes of a file, and of the disk in one, that are summed, or made a VHDX. */
const SUMMED = 256 * MiB;

/** The floor: slices of a part of a file, four at a time, and nothing done with them. @param {Blob} file @param {number} [from] @param {number} [to] */
async function readSlices(file, from = 0, to = file.size) {
  let next = from;
  const lane = async () => {
    while (next < to) {
      const at = next;
      next += PIECE;
      await file.slice(at, Math.min(to, at + PIECE)).arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** @param {File} file */
async function sumDisk(file) {
  const disk = await openVhdx(file);
  const sum = await disk.checksum({ length: SUMMED });
  await disk.close();
  return sum;
}

/** Makes a VHDX stream of a file and takes all of it. @param {Blob} file @param {'raw' | undefined} format */
async function stream(file, format) {
  const { stream } = await vhdxStream(file, { format });
  const reader = stream.getReader();
  while (!(await reader.read()).done);
}

/** @param {() => Promise<unknown>} work */
const seconds = (work) => async () => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
};

/** The page's workers, and what they do together: a part of a file each. @param {number} count */
function crew(count) {
  const workers = Array.from({ length: count }, () => new Worker(import.meta.url, { type: 'module' }));
  /** @param {'sum' | 'read'} work @param {File} file @returns {Promise<{ sum: number, length: number }[]>} */
  return (work, file) =>
    Promise.all(
      workers.map((worker, i) => {
        const [from, to] = [0, 1].map((edge) => Math.floor((file.size * (i + edge)) / count));
        worker.postMessage({ work, file, from, to });
        return new Promise((resolve, reject) => {
          worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
          worker.onerror = ({ message }) => reject(new Error(message));
        });
      }),
    );
}

async function measure() {
  const chosen = [...(document.querySelector('input')?.files ?? [])];
  const [flat, image, half] = chosen.length > 0 ? chosen : [await kept('flat'), await kept('image')];
  if (!flat || !image) throw new Error('files are needed');
  const part = /** @type {File} */ (flat.slice(0, SUMMED));
  const expected = await checksumFile(part);
  /** @param {Promise<number>} sum */
  const same = async (sum) => {
    if ((await sum) !== expected) throw new Error('the checksum is another one');
  };
  const many = navigator.hardwareConcurrency;
  const [one, all] = [crew(1), crew(many)];
  /** @param {ReturnType<typeof crew>} workers */
  const sumIn = async (workers) => {
    let crc = 0;
    for (const { sum, length } of await workers('sum', part)) crc = await crc32cCombine(crc, sum, length);
    return crc;
  };
  const { figures } = await takeTurns(
    {
      floor: seconds(() => readSlices(part)),
      file: seconds(() => same(checksumFile(part))),
      disk: seconds(() => same(sumDisk(image))),
      'floor, one worker': seconds(() => one('read', part)),
      'file, one worker': seconds(() => same(sumIn(one))),
      'floor, workers': seconds(() => all('read', part)),
      'file, workers': seconds(() => same(sumIn(all))),
      'first progress': seconds(
        () =>
          new Promise((resolve, reject) => {
            const stop = new AbortController();
            const onProgress = () => {
              resolve(undefined);
              stop.abort();
            };
            checksumFile(flat, { signal: stop.signal, onProgress }).catch(reject);
          }),
      ),
      ...(half && {
        'floor, half zeros': seconds(() => readSlices(half)),
        'stream of raw': seconds(() => stream(part, 'raw')),
        'stream of raw, half zeros': seconds(() => stream(half, 'raw')),
        'stream of VHDX': seconds(() => stream(image, undefined)),
      }),
    },
    { rounds: 5, seconds: 30 },
  );
  return { figures, workers: many };
}

/** A file of the server, kept in the origin private file system. @param {string} name */
async function kept(name) {
  const folder = await navigator.storage.getDirectory();
  const handle = await folder.getFileHandle(name, { create: true });
  const { body } = await fetch(`/files/${name}`);
  await body?.pipeTo(await handle.createWritable());
  return handle.getFile();
}

if (typeof document === 'undefined') {
  globalThis.onmessage = async ({ data: { work, file, from, to } }) => {
    const length = to - from;
    try {
      const sum =
        work === 'sum' ? await checksumFile(file, { offset: from, length }) : await readSlices(file, from, to);
      postMessage({ sum, length });
    } catch (error) {
      postMessage({ error: String(error) });
    }
  };
} else {
  const measured = measure();
  Object.assign(globalThis, { measured });
  if (!document.querySelector('input')) {
    const report = await measured.catch((error) => ({ error: String(error) }));
    await fetch('/result', { method: 'POST', body: JSON.stringify(report) });
  }
}
