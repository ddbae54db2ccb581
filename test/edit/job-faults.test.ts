// A device that is full, or fails, at any operation of a resize or a compact: the image is sound, and the job can be run
// again. The same when it is aborted.
import { describe, expect, test } from 'vitest';
import { compactImage } from '../../src/edit/compact/compact-image.js';
import { resizeImage } from '../../src/edit/resize/resize-image.js';
import { VhdxError, type VhdxTarget } from '../../src/index.js';
import type { WriterIdentity } from '../../src/log/journal.js';
import { taggedBytes } from '../support/crash/content-model.js';
import { CrashFile } from '../support/crash/crash-file.js';
import { readState } from '../support/crash/state-reader.js';
import { checkClosed } from '../support/crash/trace-rules.js';
import { countedIdentity } from '../support/edit/driven-disk.js';
import { jobFile, resizeDifference } from '../support/edit/resized.js';
import { MiB } from '../support/encode-primitives.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';
import { isWholeRun } from '../support/property-runs.js';
import { SLOW } from '../support/time-limits.js';

const stored = (block: number): BlockSpec => ({
  state: STATE.fullyPresent,
  data: taggedBytes(1000 + block, block * MiB, MiB),
});

/** Every operation, or in part of a run some of them. */
const STEP = isWholeRun ? 1 : 7;

type Job = (file: VhdxTarget, options: { signal?: AbortSignal }, identity: WriterIdentity) => Promise<unknown>;

const small: ImageSpec = { virtualSize: 3 * MiB + 1024, blocks: { 0: stored(0), 3: stored(3) } };
const holed: ImageSpec = {
  virtualSize: 1100 * MiB,
  blocks: { 0: { state: STATE.fullyPresent, data: 0 }, 1: stored(1), 700: stored(700), 1099: stored(1099) },
};
const JOBS: readonly [name: string, spec: ImageSpec, size: number, job: Job][] = [
  ['grows', small, 600 * MiB, (file, options, identity) => resizeImage(file, 600 * MiB, options, identity)],
  [
    'grows past the length of its BAT',
    { virtualSize: 131_041 * MiB - 512, blocks: { 0: stored(0), 131040: stored(131_040) } },
    131_045 * MiB,
    (file, options, identity) => resizeImage(file, 131_045 * MiB, options, identity),
  ],
  [
    'of a fixed disk grows',
    { ...small, type: 'fixed' },
    9 * MiB,
    (file, options, identity) => resizeImage(file, 9 * MiB, options, identity),
  ],
  [
    'gets smaller',
    holed,
    2 * MiB,
    (file, options, identity) => resizeImage(file, 2 * MiB, { ...options, shrink: true }, identity),
  ],
  ['is compacted', holed, 1100 * MiB, (file, options, identity) => compactImage(file, options, identity)],
];

const FAULTS: readonly [string, () => Error][] = [
  ['is full', () => new VhdxError('no-space', 'there is no room')],
  ['fails', () => new VhdxError('write-failed', 'input/output error')],
];

describe.each(FAULTS)('a device that %s at any operation', (_, fault) => {
  test.each(JOBS)(
    'leaves a sound image that %s when the job is run again',
    SLOW.crashes,
    async (_, spec, size, job) => {
      let isOver = false;
      for (let failing = 0; !isOver; failing += STEP) {
        let operations = 0;
        const { file, before } = jobFile(spec, undefined, () => (operations++ >= failing ? fault() : undefined));
        const error = await job(file, {}, countedIdentity()).catch((reason: unknown) => reason);
        isOver = operations <= failing;
        if (!isOver) {
          expect(error).toBeInstanceOf(VhdxError);
          // A file that cannot be lengthened is the only thing that does not end the session.
          expect(['no-space', 'write-failed', 'session-failed']).toContain((error as VhdxError).code);
        }
        const left = readState(file.content());
        expect([before.metadata.size, size]).toContain(left.metadata.size);
        expect(resizeDifference(before, left)).toBeUndefined();
        // With room again, and another device.
        const again = new CrashFile(file.content());
        await job(again, {}, countedIdentity());
        // A job that finds nothing to do writes nothing, not even headers.
        if (again.trace.length > 0) checkClosed(again.content());
        const after = readState(again.content());
        expect(after.metadata.size).toBe(size);
        expect(resizeDifference(before, after)).toBeUndefined();
      }
    },
  );
});

test.each(JOBS)('an image that %s is sound and clean after an abort', SLOW.crashes, async (_, spec, size, job) => {
  let isOver = false;
  for (let last = 0; !isOver; last += STEP) {
    const controller = new AbortController();
    let operations = 0;
    const { file, before } = jobFile(spec, undefined, () => {
      if (operations++ >= last) controller.abort(new Error('enough'));
      return undefined;
    });
    await job(file, { signal: controller.signal }, countedIdentity()).catch((error: unknown) => {
      expect((error as Error).message).toBe('enough');
    });
    isOver = operations <= last;
    checkClosed(file.content());
    const after = readState(file.content());
    expect([before.metadata.size, size]).toContain(after.metadata.size);
    expect(resizeDifference(before, after)).toBeUndefined();
  }
});
