// A power cut, and another one while the log is replayed or in the session after that, and a third one: whatever the
// disk showed after the first is there until it is overwritten.
import { afterAll, describe, expect, test } from 'vitest';
import { exploreCrashes } from '../support/crash/explore.js';
import { type Feature, Tally } from '../support/crash/features.js';
import { type ImageKind, randomSteps, recoveryOf, scenario } from '../support/edit/scenarios.js';
import { isWholeRun, propertyRuns } from '../support/property-runs.js';
import { SLOW } from '../support/time-limits.js';

const tally = new Tally();

/** What some of the states must be about. */
const FEATURES: readonly Feature[] = [
  'a crash during or after the recovery from another one',
  'a crash during or after the recovery from a second one',
  'the first entry, which no header names yet',
  'a log that one header names and the other does not',
  'a log that the current header has cleared and the other has not',
  'entries of the same LogGuid before the Tail',
  'pages that are in the log and not in their places',
  'a log entry that is torn',
  'payload that is torn',
  'a length that was lost',
  'bits of an earlier life of a block',
  'a differencing disk',
  'a header that is damaged besides',
];

const KINDS: readonly ImageKind[] = ['dynamic', 'fixed', 'differencing'];
const RUNS = KINDS.flatMap((kind) => [1, 2, 3].map((seed) => [kind, seed, isWholeRun ? 31 : 301] as const));

describe('a session after a power cut survives another one', () => {
  // The states of a wide disk take long to look at: fewer are recovered from.
  test.each([...RUNS, ['wide', 1, isWholeRun ? 301 : 3001] as const])(
    'on a %s disk (seed %i)',
    SLOW.crashes,
    async (kind, seed, every) => {
      const { file, exploration } = await scenario(kind, randomSteps(100 + seed, kind, 12));
      const recovery = { every, depth: 2, recover: recoveryOf(kind, seed) };
      expect(
        await exploreCrashes(file, { ...exploration, tally, recovery, random: propertyRuns(16).numRuns }),
      ).toBeGreaterThan(100);
    },
  );
});

test('the states of all recoveries are about everything that a power cut can meet', () => {
  if (isWholeRun) for (const feature of FEATURES) expect(tally.of(feature), feature).toBeGreaterThan(0);
  expect(tally.distinct).toBeGreaterThan(isWholeRun ? 50_000 : 500);
});

afterAll(() => {
  // biome-ignore lint/suspicious/noConsole: what was met belongs into the protocol of the run
  console.log(`${tally.checked} states, ${tally.distinct} different\n${tally.lines(FEATURES).join('\n')}`);
});
