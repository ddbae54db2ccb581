import { startTests, type Task, type VitestRunner } from '@vitest/runner';
import { TIME_LIMIT } from '../time-limits.js';
import { specs } from './specs.js';

/** What became of one spec in the worker. */
export interface WorkerResult {
  /** Its file, the groups that it is in there, and its own title. */
  readonly titles: readonly string[];
  readonly state: 'passed' | 'failed' | 'skipped';
  /** What failed, one text for each error. */
  readonly errors: readonly string[];
}

// The part of Vitest's surroundings in a page that `expect` looks for, and which a worker does not have.
Object.assign(globalThis, {
  __vitest_worker__: {
    config: { expect: {}, snapshotOptions: { expand: false } },
    ctx: {},
    environment: { name: 'worker' },
    providedContext: {},
  },
});

const runner: VitestRunner = {
  config: {
    root: '/',
    setupFiles: [],
    passWithNoTests: false,
    sequence: { shuffle: false, concurrent: false, seed: 1, hooks: 'stack', setupFiles: 'list' },
    chaiConfig: undefined,
    maxConcurrency: 1,
    testTimeout: TIME_LIMIT,
    hookTimeout: TIME_LIMIT,
    retry: 0,
    includeTaskLocation: false,
    tags: [],
    strictTags: false,
    name: undefined,
    testNamePattern: undefined,
    allowOnly: false,
    tagsFilter: undefined,
  },
  importFile: (path) => specs[path]?.(),
};

function resultsOf(task: Task, above: readonly string[]): WorkerResult[] {
  const titles = [...above, task.name];
  const errors =
    task.result?.errors?.map(({ message, stack = '' }) => (stack.includes(message) ? stack : `${message}\n${stack}`)) ??
    [];
  if (task.type === 'test') {
    const state = task.result?.state === 'pass' ? 'passed' : task.result?.state === 'fail' ? 'failed' : 'skipped';
    return [{ titles, state, errors }];
  }
  const own: WorkerResult[] = errors.length > 0 ? [{ titles, state: 'failed', errors }] : [];
  return [...own, ...task.tasks.flatMap((child) => resultsOf(child, titles))];
}

/** Runs the spec file that the page names, and answers with a list of results or with the text of an error. */
self.onmessage = async ({ data: path }: MessageEvent<string>) => {
  try {
    const files = await startTests([path], runner);
    self.postMessage(files.flatMap((file) => resultsOf(file, [])));
  } catch (error) {
    self.postMessage(String(error instanceof Error ? error.stack : error));
  }
};
