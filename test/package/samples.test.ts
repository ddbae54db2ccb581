import { constants, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumProgram } from '../support/chromium.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { needs } from '../support/tools.js';
import { root } from './module-graph.js';
import { diskBytes, saveSampleImages } from './sample-images.js';
import { runInChromium, runInNode, runInShell, samplesFolder, typeErrors, writeSamples } from './sample-runner.js';
import { papers, type Sample, samplesOf } from './samples.js';

const samples = papers.flatMap(samplesOf);
const programs = samples.filter(({ language }) => language === 'ts');

/** Shell samples that are about a checkout: continuous integration runs them, or a spec of their own. */
const ABOUT_THE_CHECKOUT = /^npm (ci|run)/;

/** How the functions that samples export are called, and what they must give. */
const CALLS: Readonly<Record<string, string>> = {
  describe: `
    import { readFile } from 'node:fs/promises';
    const file = async (name) => new File([await readFile(name)], name);
    const said = await sample.describe(await file('child.avhdx'), [await file('disk.vhdx'), await file('base.vhdx')]);
    if (!/^differencing, 67108864 bytes, CRC-32C [0-9a-f]{8}$/.test(said)) throw new Error(said);
    const refused = await sample.describe(await file('disk.raw'));
    if (!refused.startsWith('file-signature: ')) throw new Error(refused);`,
  start: `
    import { readFile } from 'node:fs/promises';
    import { crc32c } from 'vhdx';
    const core = new URL(import.meta.resolve('vhdx/core.wasm'));
    await sample.start(await WebAssembly.compile(await readFile(core)));
    const sum = await crc32c(new TextEncoder().encode('123456789'));
    if (sum !== 0xe3069283) throw new Error(sum);`,
};

let images: string;
const folders = new Map<string, Promise<string>>();

/** A folder with the images, for the samples of one paper in one language: what they make, others do not meet. */
function imagesOf({ folder, language }: Sample): Promise<string> {
  const key = `${folder} ${language}`;
  const made = folders.get(key) ?? copyImages();
  folders.set(key, made);
  return made;
}

async function copyImages(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'vhdx-samples-'));
  await cp(images, copy, { recursive: true, mode: constants.COPYFILE_FICLONE });
  return copy;
}

beforeAll(async () => {
  await rm(samplesFolder, { recursive: true, force: true });
  await writeSamples(programs);
  images = await mkdtemp(join(tmpdir(), 'vhdx-samples-'));
  await saveSampleImages(images);
});

afterAll(async () => {
  for (const folder of [images, ...(await Promise.all(folders.values()))]) {
    await rm(folder, { recursive: true, force: true });
  }
});

const exportsOf = ({ text }: Sample) =>
  [...text.matchAll(/^export (?:async )?function (\w+)/gm)].map(([, name = '']) => name);

describe('the samples in README and guide', () => {
  test('agree with the types of the package', () => {
    expect(programs.length).toBeGreaterThan(30);
    expect(typeErrors(programs)).toEqual([]);
  });

  test('that would not, are noticed', async () => {
    const wrong: Sample = { ...(programs[0] as Sample), folder: 'wrong', name: 'wrong.ts', place: 'wrong' };
    await writeSamples([{ ...wrong, text: "import { openVhdx } from 'vhdx';\n(await openVhdx(1)).nothing;\n" }]);
    expect(typeErrors([wrong])).toEqual([
      expect.stringMatching(/^wrong \+ 2: Argument of type 'number'/),
      expect.stringMatching(/^wrong \+ 2: Property 'nothing' does not exist/),
    ]);
  });

  test('show the checksum that their image has', async () => {
    const checksum = crc32cReference(diskBytes).toString(16).padStart(8, '0');
    const guide = await readFile(join(root, 'docs/guide/verify.md'), 'utf8');
    expect(guide).toContain(`// → ${checksum}\n`);
    expect(guide).toContain(`// → ${Buffer.from(checksum, 'hex').toString('base64')}\n`);
  });
});

describe('in Node,', () => {
  const plain = programs.filter((sample) => !sample.browser && exportsOf(sample).length === 0);
  test.each(plain.map((sample) => [sample.place, sample] as const))('%s does what it says', async (_place, sample) => {
    const { status, stdout, stderr } = await runInNode(sample, await imagesOf(sample));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    if (sample.output.length > 0) expect(stdout.trimEnd().split('\n')).toEqual(sample.output);
  });

  const functions = programs.filter((sample) => !sample.browser && exportsOf(sample).length > 0);
  test.each(functions.map((sample) => [sample.place, sample] as const))('%s can be called', async (_place, sample) => {
    for (const name of exportsOf(sample)) {
      if (CALLS[name] === undefined) throw new Error(`${name} is not called`);
      const caller = { ...sample, name: `call-${sample.name}` };
      const load = `import * as sample from './${sample.name.replace('.ts', '.js')}';`;
      await writeFile(join(samplesFolder, sample.folder, caller.name.replace('.ts', '.js')), load + CALLS[name]);
      expect(await runInNode(caller, await imagesOf(sample))).toMatchObject({ status: 0, stderr: '' });
    }
  });
});

describe('in Chromium,', () => {
  for (const sample of programs.filter(({ browser, isNamed }) => browser && !isNamed)) {
    needs(chromiumProgram).test(`${sample.place} does what it says`, async () => {
      expect([await runInChromium(sample, images)]).toEqual(sample.output);
    });
  }
});

describe('in a shell,', () => {
  const commands = samples.filter(({ language, text }) => language === 'sh' && !ABOUT_THE_CHECKOUT.test(text));
  test.each(commands.map((sample) => [sample.place, sample] as const))('%s ends well', async (_place, sample) => {
    const { status, stdout, stderr } = await runInShell(sample, await imagesOf(sample));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual(expect.arrayContaining([...sample.output]));
  });
});
