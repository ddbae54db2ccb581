// A power cut at every write of sessions that write: whatever of the unflushed writes persists, the file is sound, what
// was flushed is there, and nothing of another block, of freed space or of the file's old tail shows.
import { describe, expect, test } from 'vitest';
import { isOperation, type TraceEvent } from '../support/crash/crash-file.js';
import { type Exploration, exploreCrashes, hasNewDataWriteGuid, viewDifference } from '../support/crash/explore.js';
import { readState, type StateView } from '../support/crash/state-reader.js';
import { checkClosed, checkTrace } from '../support/crash/trace-rules.js';
import { type ImageKind, randomSteps, type Scenario, scenario } from '../support/edit/scenarios.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { SLOW } from '../support/time-limits.js';

async function survives(
  { file, exploration }: Scenario,
  options: Pick<Exploration, 'isExplored'> = {},
): Promise<number> {
  checkTrace(file);
  checkClosed(file.content());
  const before = readState(file.before, exploration.parent);
  const isNew = (view: StateView) => view.header.dataWriteGuid !== before.header.dataWriteGuid;
  expect(hasNewDataWriteGuid(file.before, file.content()), 'DataWriteGuid is new').toBe(true);
  const also = (_: unknown, view: StateView) => {
    // A child must notice whatever it would read differently.
    if (!isNew(view)) expect(viewDifference(before, view)).toBeUndefined();
  };
  return exploreCrashes(file, { ...exploration, ...options, also });
}

const KINDS: readonly ImageKind[] = ['dynamic', 'fixed', 'differencing', 'wide'];

describe('a session survives a power cut at every write', () => {
  test('of blocks that are allocated, freed and whose space is used again', SLOW.crashes, async () => {
    const run = await scenario('dynamic', async (disk) => {
      await disk.write(0, 8192);
      await disk.write(3 * MiB, MiB);
      await disk.flush();
      await disk.zero(3 * MiB, MiB);
      await disk.trim(1 * MiB, MiB);
      await disk.write(5 * MiB, 512);
      await disk.flush();
      // Into the space of the blocks that were freed.
      await disk.write(2 * MiB + 1024, 1024);
      await disk.write(4 * MiB, 512);
      await disk.flush();
      await disk.write(4 * MiB + 512, 1024);
    });
    expect(await survives(run)).toBeGreaterThan(500);
  });

  test('of blocks that are partly in the parent', SLOW.crashes, async () => {
    const run = await scenario('differencing', async (disk) => {
      await disk.write(3 * MiB + 512, 1024); // a block of the parent
      await disk.write(5 * MiB + 4096, 512); // one with bits of an earlier life
      await disk.write(2 * MiB + 512, 512); // one of zeros
      await disk.flush();
      await disk.write(0, 32 * 512); // sectors that are here and sectors that are not
      await disk.zero(3 * MiB + 8192, 1024);
      await disk.flush();
      await disk.write(64 * 512, MiB - 64 * 512);
      await disk.write(32 * 512, 512);
      await disk.zero(5 * MiB, MiB);
      await disk.flush();
      await disk.write(5 * MiB, MiB);
    });
    expect(await survives(run)).toBeGreaterThan(500);
  });

  test.each(KINDS.flatMap((kind) => [1, 2, 3].map((seed) => [kind, seed] as const)))(
    'of any operations on a %s disk, some at the same time (seed %i)',
    SLOW.crashes,
    async (kind, seed) => {
      expect(await survives(await scenario(kind, randomSteps(seed, kind, 12)))).toBeGreaterThan(200);
    },
  );

  test('of so many commits that the log comes to its end twice', SLOW.crashes, async () => {
    const run = await scenario('dynamic', async (disk) => {
      for (let i = 0; i < 280; i++) {
        await (i % 2 === 0 ? disk.write(0, 512) : disk.zero(0, MiB));
        await disk.flush();
      }
    });
    // Around the headers, which are written when the session begins, when a lap of the log does, and at the end.
    const headers = run.file.trace.flatMap((event, at) => (isHeader(event) ? [at] : []));
    expect(headers.length).toBe(2 + 3 * 2 + 2);
    const isExplored = (point: number) => headers.some((at) => Math.abs(point - at) < 12);
    expect(await survives(run, { isExplored })).toBeGreaterThan(500);
  });
});

const isHeader = (event: TraceEvent) =>
  isOperation(event) && event.kind === 'write' && [64 * KiB, 128 * KiB].includes(event.offset);
