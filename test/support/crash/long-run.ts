// Not a spec of the suite: what `npm run test:crashes` runs in each of its processes.
import { writeFile } from 'node:fs/promises';
import { inject, test } from 'vitest';
import { type ImageKind, randomSteps, recoveryOf, scenario, shortOfSpace } from '../edit/scenarios.js';
import { isOperation } from './crash-file.js';
import { fraction } from './crash-states.js';
import { exploreCrashes } from './explore.js';
import { FEATURES, type Feature, Tally } from './features.js';
import { checkClosed, checkTrace } from './trace-rules.js';

/** What one process is to do. */
interface CrashRun {
  /** Its seeds: the first one, and how far it is to the next. */
  readonly first: number;
  readonly step: number;
  /** When it ends, whichever comes first. */
  readonly seconds: number;
  readonly states: number;
  /** Where it writes what it has done. */
  readonly report?: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    readonly crashRun: CrashRun;
  }
}

const KINDS: readonly ImageKind[] = ['dynamic', 'differencing', 'fixed', 'wide'];

/** One session that looks random, and every state of it; some of them are recovered from. */
async function explore(seed: number, tally: Tally): Promise<void> {
  const pick = (limit: number, what: number) => Math.floor(fraction(seed, what) * limit);
  const kind = KINDS[pick(KINDS.length, 1)] as ImageKind;
  const isFull = pick(6, 2) === 0;
  const isLong = pick(24, 3) === 0; // past the end of the log
  const recovers = !isLong && kind !== 'wide' && pick(3, 4) === 0;
  const steps = recovers ? 12 : 20 + pick(20, 5);
  const { file, exploration } = await scenario(
    kind,
    async (disk) => {
      for (let i = 0; isLong && i < 130 + pick(20, 6); i++) {
        await disk.zero(i % 2 === 0 ? 0 : 2 ** 20, 2 ** 20);
        await disk.write(i % 2 === 0 ? 2 ** 20 : 0, 512);
        await disk.flush();
      }
      await randomSteps(seed, kind, steps)(disk);
    },
    isFull ? { fail: shortOfSpace(kind, seed) } : {},
  );
  // Of a long session, what is around the headers, which are written when a lap of the log begins, and the end.
  const headers = file.trace.flatMap((event, at) => (isOperation(event) && event.offset === 64 * 1024 ? [at] : []));
  const isNear = (point: number) => point > file.trace.length - 200 || headers.some((at) => Math.abs(at - point) < 60);
  checkTrace(file);
  checkClosed(file.content());
  await exploreCrashes(file, {
    ...exploration,
    seed,
    tally,
    random: recovers ? 16 : 64,
    ...(isLong && { isExplored: isNear }),
    ...(recovers && { recovery: { every: 31, depth: 2, recover: recoveryOf(kind, seed) } }),
  });
}

test('sessions survive a power cut at every write', async () => {
  const { first, step, seconds, states, report } = inject('crashRun');
  const began = performance.now();
  const tally = new Tally();
  let seed = first;
  let sessions = 0;
  for (; performance.now() - began < seconds * 1000 && tally.distinct < states; seed += step) {
    await explore(seed, tally).catch((error: Error) => {
      throw new Error(`session ${seed}: ${error.message}`, { cause: error });
    });
    sessions += 1;
  }
  const features = Object.fromEntries((Object.keys(FEATURES) as Feature[]).map((name) => [name, tally.of(name)]));
  const { distinct, checked } = tally;
  const done = { sessions, next: seed, distinct, checked, seconds: (performance.now() - began) / 1000, features };
  if (report !== undefined) await writeFile(report, JSON.stringify(done));
});
