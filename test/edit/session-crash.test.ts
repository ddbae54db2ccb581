// A power cut at every write of sessions that write: whatever of the unflushed writes persists, the file is sound, what
// was flushed is there, and nothing of another block, of freed space or of the file's old tail shows.
import { afterAll, describe, expect, test } from 'vitest';
import { isOperation, type TraceEvent } from '../support/crash/crash-file.js';
import { type Exploration, exploreCrashes, hasNewDataWriteGuid, viewDifference } from '../support/crash/explore.js';
import { type Feature, Tally } from '../support/crash/features.js';
import { readState, type StateView } from '../support/crash/state-reader.js';
import { checkClosed, checkTrace } from '../support/crash/trace-rules.js';
import { freedBitmap } from '../support/edit/freed-bitmap.js';
import { type ImageKind, randomSteps, type Scenario, scenario, shortOfSpace } from '../support/edit/scenarios.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { isWholeRun, propertyRuns } from '../support/property-runs.js';
import { SLOW } from '../support/time-limits.js';

const tally = new Tally();

/** What some of the states must be about. */
const FEATURES: readonly Feature[] = [
  'the first entry, which no header names yet',
  'a log that one header names and the other does not',
  'a log that the current header has cleared and the other has not',
  'the end of the ring: the next lap has its first entry, and no header names it',
  'two headers with different LogGuids',
  'entries of the same LogGuid before the Tail',
  'free space that an older entry of the log writes to',
  'pages that are in the log and not in their places',
  'a log entry that is torn',
  'payload that is torn',
  'a length that was lost',
  'space of one block that another one has now',
  'bits of an earlier life of a block',
  'a session that was refused space',
  'a differencing disk',
  'a header that is damaged besides',
];

/** Explores the states of a session, and returns how many there were. */
async function survives(
  { file, exploration }: Scenario,
  options: Pick<Exploration, 'isExplored' | 'random'> = {},
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
  return exploreCrashes(file, { ...exploration, ...options, also, tally });
}

const KINDS: readonly ImageKind[] = ['dynamic', 'fixed', 'differencing', 'wide'];
const RUNS = KINDS.flatMap((kind) =>
  Array.from({ length: propertyRuns(14).numRuns }, (_, seed) => [kind, seed + 1] as const),
);

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
    expect(await survives(run)).toBeGreaterThan(200);
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
    expect(await survives(run)).toBeGreaterThan(200);
  });

  test.each(RUNS)(
    'of any operations on a %s disk, some at the same time (seed %i)',
    SLOW.crashes,
    async (kind, seed) => {
      expect(
        await survives(await scenario(kind, randomSteps(seed, kind, 30)), { random: propertyRuns(64).numRuns }),
      ).toBeGreaterThan(100);
    },
  );

  test.each(KINDS.flatMap((kind) => [1, 2].map((seed) => [kind, seed] as const)))(
    'on a device that is full now and then: a %s disk (seed %i)',
    SLOW.crashes,
    async (kind, seed) => {
      const run = await scenario(kind, randomSteps(seed, kind, 20), { fail: shortOfSpace(kind, seed) });
      expect(await survives(run, { random: 16 })).toBeGreaterThan(50);
    },
  );

  test('of so many commits that the log comes to its end twice', SLOW.crashes, async () => {
    const run = await scenario('dynamic', async (disk) => {
      for (let i = 0; i < 320; i++) {
        await (i % 2 === 0 ? disk.write(0, 512) : disk.zero(0, MiB));
        await disk.flush();
      }
    });
    // Around the headers, which are written when the session begins, when a lap of the log does, and at the end.
    const headers = run.file.trace.flatMap((event, at) => (isHeader(event) ? [at] : []));
    expect(headers.length).toBe(2 + 3 * 2 + 2);
    const isExplored = (point: number) => headers.some((at) => Math.abs(point - at) < 40);
    expect(await survives(run, { isExplored })).toBeGreaterThan(100);
  });

  test('that gives the space of a sector bitmap block to payload', SLOW.crashes, async () => {
    const run = await freedBitmap(140);
    expect(await survives(run, { random: 16 })).toBeGreaterThan(500);
  });
});

afterAll(() => {
  // biome-ignore lint/suspicious/noConsole: what was met belongs into the protocol of the run
  console.log(`${tally.checked} states, ${tally.distinct} different\n${tally.lines(FEATURES).join('\n')}`);
});

// The last one: it is about the states of all others.
test('the states of all sessions are about everything that a power cut can meet', () => {
  if (isWholeRun) for (const feature of FEATURES) expect(tally.of(feature), feature).toBeGreaterThan(0);
  expect(tally.distinct).toBeGreaterThan(isWholeRun ? 150_000 : 1000);
});

const isHeader = (event: TraceEvent) =>
  isOperation(event) && event.kind === 'write' && [64 * KiB, 128 * KiB].includes(event.offset);
