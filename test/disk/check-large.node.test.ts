// A check of the largest disk there is, with the smallest blocks: 67 million BAT entries, in a process of its own.
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'vite';
import { describe, expect, test } from 'vitest';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { MiB, TiB } from '../support/encode-primitives.js';
import { type BlockSpec, STATE } from '../support/image-spec.js';
import { saveFile } from '../support/save-image.js';
import { SLOW } from '../support/time-limits.js';
import { tempDir } from '../support/tools.js';

const BLOCKS = 64 * MiB;
const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const spec = {
  virtualSize: 64 * TiB,
  blocks: {
    0: present(0),
    4096: { ...present(1), state: STATE.unmapped },
    33000000: present(2),
    [BLOCKS - 1]: present(3),
  },
};

/** What a process of its own says of an image, and the most memory that it had, in bytes. */
async function checkApart(
  image: BuiltImage,
  program: string,
): Promise<{
  report: { status: string; findings: { code: string; structure: string }[]; blocks: Record<string, number> };
  peak: number;
  calls: number;
}> {
  const path = join(await tempDir(), 'large.vhdx');
  await saveFile(image, path);
  // The BAT alone has 513 MiB; the file on disk must not.
  expect((await stat(path)).blocks * 512).toBeLessThan(16 * MiB);
  const { stdout } = await promisify(execFile)(process.execPath, [program, path]);
  return JSON.parse(stdout);
}

/** The library and a few lines that check an image, as one file that Node runs as it is. */
async function buildProgram(): Promise<string> {
  const folder = await tempDir();
  const entry = 'virtual:check';
  const code = `
    import { existsSync, readFileSync } from 'node:fs';
    import { checkVhdx } from ${JSON.stringify(join(import.meta.dirname, '../../src/index.ts'))};
    let calls = 0;
    const report = await checkVhdx(process.argv[2], { onProgress: () => calls++ });
    // maxRSS is inherited across exec from whoever started this process; what Linux says of its memory is its own.
    const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
    const peak = /^VmHWM:\\s+(\\d+) kB/m.exec(status)?.[1] ?? process.resourceUsage().maxRSS;
    process.stdout.write(JSON.stringify({ report, calls, peak: peak * 1024 }));`;
  await build({
    configFile: false,
    logLevel: 'silent',
    ssr: { noExternal: true },
    build: {
      ssr: true,
      outDir: folder,
      emptyOutDir: false,
      rollupOptions: { input: entry, output: { entryFileNames: 'check.mjs' } },
    },
    plugins: [
      { name: 'check', resolveId: (id) => (id === entry ? id : null), load: (id) => (id === entry ? code : null) },
    ],
  });
  return join(folder, 'check.mjs');
}

describe('64 TiB in blocks of 1 MiB', () => {
  test('a check stays under 150 MB of memory', SLOW.largest, async () => {
    const program = await buildProgram();
    const sound = await checkApart(buildImage(spec), program);
    expect(sound.report).toMatchObject({
      status: 'sound',
      blocks: { payloadBlocks: BLOCKS, fullyPresent: 3, unmapped: 1, notPresent: BLOCKS - 4 },
    });
    expect(sound.calls).toBeGreaterThan(8000); // one for each page of 8,192 entries
    expect(sound.peak).toBeLessThan(150 * 1000 * 1000);
  });

  test('and so it does where all entries of many pages are bad', SLOW.largest, async () => {
    const image = buildImage(spec);
    const page = new Uint8Array(64 * 1024);
    for (let i = 0; i < page.length; i += 8) page[i] = 4;
    for (let i = 0; i < 64; i++) image.write(image.layout.bat.offset + i * 8 * MiB, page);
    const { report, peak } = await checkApart(image, await buildProgram());
    expect(report.status).toBe('corrupt');
    expect(report.findings.filter(({ code }) => code === 'bat-reserved-state')).toHaveLength(1000);
    expect(report.blocks['damaged']).toBeGreaterThan(64 * 8192 - 64 * 3);
    expect(peak).toBeLessThan(150 * 1000 * 1000);
  });
});
