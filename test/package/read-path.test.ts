// How many files a reader of the code has to go through in order to follow the most common read.
import { Session } from 'node:inspector/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { openVhdx } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { saveFile } from '../support/save-image.js';
import { tempDir } from '../support/tools.js';
import { reachableFrom, readModules } from './module-graph.js';

const src = fileURLToPath(new URL('../../src/', import.meta.url));

/**
 * The files of `src`, without generated ones, whose functions run while `work` does, by V8's own counts. Constants are
 * read through functions without a name that Vite makes, which do not count.
 */
async function filesOf(work: () => Promise<unknown>): Promise<string[]> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
    await session.post('Profiler.takePreciseCoverage');
    await work();
    const { result } = await session.post('Profiler.takePreciseCoverage');
    return result
      .filter(({ functions }) =>
        functions.some(({ functionName, ranges }) => functionName !== '' && ranges.some(({ count }) => count > 0)),
      )
      .map(({ url }) => url.replace(/^file:\/\//, ''))
      .filter((path) => path.startsWith(src) && !path.includes('.generated.'))
      .map((path) => path.slice(src.length))
      .sort();
  } finally {
    session.disconnect();
  }
}

describe('a read of 4 KiB of data whose BAT page is in memory', () => {
  test('goes through at most 6 files of src', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    await saveFile(buildImage(), path);
    const disk = await openVhdx(path);
    const target = new Uint8Array(4096);
    for (let i = 0; i < 3; i++) await disk.readInto(target, 0);
    const files = await filesOf(() => disk.readInto(target, 0));
    expect(files.length).toBeLessThanOrEqual(6);
    expect(files).toContain('disk/member.ts');
    await disk.close();
  });

  test('goes through at most 4 files of the core', () => {
    const modules = readModules('assembly');
    const reached = [...reachableFrom('assembly/bat.ts', modules)];
    const withCode = reached.filter((path) => modules.get(path)?.text.includes('function '));
    expect(withCode.length).toBeLessThanOrEqual(4);
    expect(withCode).toContain('assembly/bat.ts');
  });
});
