// @ts-check
/** `node plain-readers.mjs THREADS FILE`: as many threads as asked for read a file, a part each, and do nothing with it. */
import { openSync, readSync, statSync } from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

const PIECE = 1024 * 1024;

if (isMainThread) {
  const [threads, file] = process.argv.slice(2);
  for (let self = 0; self < Number(threads); self++) {
    new Worker(new URL(import.meta.url), { workerData: { self, threads: Number(threads), file } });
  }
} else {
  const { self, threads, file } = workerData;
  const pieces = Math.ceil(statSync(file).size / PIECE);
  const descriptor = openSync(file, 'r');
  const bytes = new Uint8Array(PIECE);
  const end = Math.floor((pieces * (self + 1)) / threads);
  for (let piece = Math.floor((pieces * self) / threads); piece < end; piece++) {
    readSync(descriptor, bytes, 0, PIECE, piece * PIECE);
  }
}
