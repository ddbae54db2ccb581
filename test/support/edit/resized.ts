import { expect } from 'vitest';
import { resizeImage } from '../../../src/edit/resize/resize-image.js';
import type { ResizeOptions, ResizeReport } from '../../../src/index.js';
import { buildImage } from '../build-image.js';
import { taggedBytes } from '../crash/content-model.js';
import { CrashFile, type Fault } from '../crash/crash-file.js';
import { PAGE_SIZE, PageImage, pageFingerprint, ZERO_PAGE } from '../crash/page-image.js';
import { readState, type StateView } from '../crash/state-reader.js';
import { checkClosed, checkTrace } from '../crash/trace-rules.js';
import { KiB, MiB } from '../encode-primitives.js';
import { type ImageSpec, STATE } from '../image-spec.js';
import { countedIdentity } from './driven-disk.js';

/** What space holds that nothing refers to: nothing of it may ever be read. */
const STALE = 0xdeadbeef;

/** An image and its parent, if it has one, in a file that remembers what is done to it. */
export interface JobFile {
  readonly file: CrashFile;
  readonly before: StateView;
  readonly parent: StateView | undefined;
}

/** Builds an image for a job, with stale bytes after its last structure. */
export function jobFile(spec: ImageSpec, parentSpec?: ImageSpec, fail?: Fault): JobFile {
  const parent = parentSpec && readState(PageImage.of(buildImage(parentSpec).toUint8Array()));
  const image = PageImage.of(buildImage(spec).toUint8Array());
  const end = Math.ceil(image.size / MiB) * MiB;
  image.truncate(end);
  image.write(taggedBytes(STALE, 0, 2 * MiB), end);
  // Flushes (at 0) take a while, so that writes are in flight with them.
  const turns = (offset: number) => (offset === 0 ? 3 : (offset / (4 * KiB)) % 3);
  const file = new CrashFile(image, { turns, ...(fail && { fail }) });
  return { file, parent, before: readState(image, parent) };
}

/** Resizes an image, and asserts that what it is afterwards is sound, has the same content, and zeros after that. */
export async function resized(
  spec: ImageSpec,
  size: number,
  { parent: parentSpec, ...options }: ResizeOptions & { readonly parent?: ImageSpec } = {},
): Promise<JobFile & { readonly report: ResizeReport; readonly after: StateView }> {
  const { file, parent, before } = jobFile(spec, parentSpec);
  const dry = await resizeImage(file, size, { ...options, dryRun: true });
  expect(file.trace).toEqual([]);
  const report = await resizeImage(file, size, options, countedIdentity());
  expect(report).toEqual(dry);
  const image = file.content();
  checkTrace(file);
  checkClosed(image);
  const after = readState(image, parent);
  expect(after.metadata).toEqual({ ...before.metadata, size });
  expect(after.header.dataWriteGuid).not.toBe(before.header.dataWriteGuid);
  expect(report).toMatchObject({ sizeBefore: before.metadata.size, sizeAfter: size });
  expect(report).toMatchObject({ fileSizeBefore: file.before.size, fileSizeAfter: image.size });
  expect(resizeDifference(before, after)).toBeUndefined();
  return { file, parent, before, report, after };
}

/** Pages at either end of what a disk gained, and blocks at either end of a large disk, that are looked at. */
const LOOKED_AT = 600;

/** The first place where a disk that was resized is not what it was, or after that not zeros; undefined if there is none. */
export function resizeDifference(before: StateView, after: StateView): string | undefined {
  return contentDifference(before, after) ?? gainedContent(before, after);
}

/** Compares what both have: of a large disk the blocks that are stored, and those at its ends. */
export function contentDifference(before: StateView, after: StateView): string | undefined {
  const size = Math.min(before.metadata.size, after.metadata.size);
  const { blockSize } = before.metadata;
  const last = Math.ceil(size / blockSize) - 1;
  const some = [...before.bat.present, ...after.bat.present, 0, 1, last - 1, last].filter((block) => block <= last);
  const blocks = last < LOOKED_AT ? Array.from({ length: last + 1 }, (_, block) => block) : new Set(some);
  for (const block of blocks) {
    if (isSameBlock(before, after, block)) continue;
    const end = Math.min(size, (block + 1) * blockSize);
    for (let index = (block * blockSize) / PAGE_SIZE; index * PAGE_SIZE < end; index++) {
      const [own, other] = [before.page(index), after.page(index)];
      if (own === other || pageFingerprint(own) === pageFingerprint(other)) continue;
      const at = own.findIndex((byte, i) => byte !== other[i]);
      if (index * PAGE_SIZE + at < size) return `the disks differ at ${index * PAGE_SIZE + at}`;
    }
  }
  return undefined;
}

/** Whether it is known without a look at its pages that a block is the same in both: zeros, or the same chunk of the file. */
function isSameBlock(before: StateView, after: StateView, block: number): boolean {
  const [own, other] = [before.bat.block(block), after.bat.block(block)];
  if (own.state < STATE.fullyPresent && other.state < STATE.fullyPresent) {
    return !before.metadata.hasParent && !after.metadata.hasParent;
  }
  if (own.state !== STATE.fullyPresent || other.state !== STATE.fullyPresent) return false;
  if (before.metadata.blockSize !== MiB || after.metadata.blockSize !== MiB) return false;
  const [a, b] = [before.image.chunk(own.offset / MiB), after.image.chunk(other.offset / MiB)];
  return a.fingerprint === b.fingerprint; // known for most of them: states have most of their chunks in common
}

function gainedContent(before: StateView, after: StateView): string | undefined {
  const [old, size] = [before.metadata.size, after.metadata.size];
  const [first, end] = [Math.floor(old / PAGE_SIZE), Math.ceil(size / PAGE_SIZE)];
  const perBlock = after.metadata.blockSize / PAGE_SIZE;
  for (let index = first; index < end; index++) {
    if (index === first + LOOKED_AT) index = Math.max(index, end - LOOKED_AT);
    if (!after.metadata.hasParent && after.bat.block(Math.floor(index / perBlock)).state < STATE.fullyPresent) {
      index += perBlock - 1 - (index % perBlock); // zeros, without a place
      continue;
    }
    const page = after.page(index);
    if (page === ZERO_PAGE) continue;
    const to = Math.min(PAGE_SIZE, size - index * PAGE_SIZE);
    for (let at = index === first ? old % PAGE_SIZE : 0; at < to; at++) {
      if (page[at] !== 0) return `what the disk gained is not zeros at ${index * PAGE_SIZE + at}`;
    }
  }
  return undefined;
}
