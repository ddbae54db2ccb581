// @ts-check
/** What the page of the question page-files runs: a file that a person chose is read, summed, and made a VHDX. */
import { checksumFile, openVhdx, vhdxStream } from '../dist/index.js';
import { takeTurns } from './turns.mjs';

const MiB = 2 ** 20;
const PIECE = 4 * MiB;
const LANES = 4;

/** The floor: slices of the file, four at a time, and nothing done with them. @param {File} file */
async function readSlices(file) {
  let next = 0;
  const lane = async () => {
    while (next < file.size) {
      const at = next;
      next += PIECE;
      await file.slice(at, at + PIECE).arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** @param {File} file */
async function sumDisk(file) {
  const disk = await openVhdx(file);
  await disk.checksum();
  await disk.close();
}

/** Makes a VHDX stream of a file and takes all of it. @param {File} file @param {'raw' | undefined} format */
async function stream(file, format) {
  const { stream } = await vhdxStream(file, { format });
  const reader = stream.getReader();
  while (!(await reader.read()).done);
}

/** @param {() => Promise<void>} work */
const seconds = (work) => async () => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
};

const [flat, half, image] = /** @type {File[]} */ ([...(document.querySelector('input')?.files ?? [])]);
if (!flat || !half || !image) throw new Error('three files are needed');
Object.assign(globalThis, {
  measured: takeTurns(
    {
      floor: seconds(() => readSlices(flat)),
      'floor, half zeros': seconds(() => readSlices(half)),
      file: seconds(async () => void (await checksumFile(flat))),
      disk: seconds(() => sumDisk(image)),
      'stream of raw': seconds(() => stream(flat, 'raw')),
      'stream of raw, half zeros': seconds(() => stream(half, 'raw')),
      'stream of VHDX': seconds(() => stream(image, undefined)),
    },
    { rounds: 5, seconds: 60 },
  ),
});
