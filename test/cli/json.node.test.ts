import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { chainOf, nameAt } from '../support/chain-files.js';
import { expectFailure, saved, vhdx } from '../support/command.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { modelOf } from '../support/disk-model.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { BASE_DATA_WRITE_GUID, locatorEntries, STATE } from '../support/image-spec.js';
import { patch } from '../support/patch-image.js';
import { saveFile } from '../support/save-image.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { blocksOf, partitionedDisk } from '../volumes/support/made-by-other-tools.js';

const schema = JSON.parse(await readFile(new URL('../../src/cli/output-schema.json', import.meta.url), 'utf8'));
const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
const isValid = ajv.compile(schema);
const isOne = (name: string) => ajv.compile({ $ref: `#/$defs/${name}`, $defs: schema.$defs });

/** Runs a subcommand with `--output json` and gives what it wrote, which fits the schema. */
async function output(...args: readonly string[]) {
  const [command = '', ...rest] = args;
  const { status, stdout, stderr } = await vhdx(command, '--output', 'json', ...rest);
  const document = JSON.parse(stdout);
  isValid(document);
  expect(isValid.errors ?? []).toEqual([]);
  return { status, document, stdout, stderr };
}

/** A child and its base in a folder. */
async function saveChain(folder: string, base = buildImage()): Promise<{ child: string; base: string }> {
  const entries = locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '.\\base.vhdx' });
  const block = { state: STATE.fullyPresent, data: pattern(1) };
  const child = buildImage({ type: 'differencing', blocks: { 1: block }, parentLocator: { entries } });
  return {
    child: await saved(child, join(folder, 'child.avhdx')),
    base: await saved(base, join(folder, 'base.vhdx')),
  };
}

describe('JSON of every subcommand fits the schema that is shipped', () => {
  const clean = buildImage();
  test.each([
    ['clean', clean],
    ['fixed', buildImage({ type: 'fixed' })],
    ['dirty', dirtied(clean, structureSectors(clean))],
    ['damaged', buildImage({ blocks: { 0: { state: 4 } } })],
  ])('for a %s image', async (_, image) => {
    const path = await saved(image, join(await tempDir(), 'disk.vhdx'));
    const info = await output('info', path);
    expect(isOne('image')(info.document)).toBe(true);
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(info.document).toMatchObject({ schema: 1, 'tool-version': version });
    expect(isOne('check')((await output('check', path)).document)).toBe(true);
    expect((await output('map', path)).document).not.toEqual([]);
  });

  test('for a chain', async () => {
    const { child } = await saveChain(await tempDir());
    expect((await output('check', child)).document.parent).toMatchObject({ format: 'vhdx', status: 'sound' });
    expect((await output('info', '--backing-chain', child)).document).toHaveLength(2);
  });

  test('with the counts of qemu-img check', async () => {
    const folder = await tempDir();
    const leaking = await saved(
      buildImage({ placement: 'gaps', fileSize: (end) => end + 3 * MiB }),
      join(folder, 'leak'),
    );
    const leaks = await output('check', leaking);
    expect(leaks).toMatchObject({ status: 3, document: { filename: leaking, format: 'vhdx', 'check-errors': 0 } });
    expect(leaks.document.leaks).toBeGreaterThan(0);
    const damaged = await saved(buildImage({ blocks: { 0: { state: 4 } } }), join(folder, 'damaged.vhdx'));
    expect((await output('check', damaged)).document).toMatchObject({ corruptions: 1, status: 'corrupt' });
  });

  needs(tool('qemu-img')).test('with every key of qemu-img check', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    const qemuImg = tool('qemu-img');
    expect(await qemuImg.run(['create', '-f', 'vhdx', path, '64M'])).toMatchObject({ status: 0 });
    const theirs = JSON.parse((await qemuImg.run(['check', '--output', 'json', path])).stdout);
    expect((await output('check', path)).document).toMatchObject(theirs);
  });

  test('for images of other formats, with their partitions', async () => {
    const folder = await tempDir();
    const disk = partitionedDisk('gpt of 512');
    const [raw, image, vhd] = [join(folder, 'disk.img'), join(folder, 'disk.vhdx'), join(folder, 'disk.vhd')];
    await saveFile(disk, raw);
    await saved(buildImage({ virtualSize: disk.size, blockSize: MiB, blocks: blocksOf(disk, MiB) }), image);
    expect(await vhdx('convert', '-q', image, vhd)).toMatchObject({ status: 0 });
    const table = { scheme: 'GPT', 'disk-id': '11111111-2222-4333-8444-555555555555', partitions: { length: 4 } };
    for (const [format, ...args] of [
      ['raw', '-f', 'raw', raw],
      ['vhdx', image],
      ['vpc', vhd],
    ] as const) {
      const { document } = await output('info', ...args);
      expect(document).toMatchObject({ format, 'virtual-size': disk.size });
      expect(document['format-specific'].data['partition-table']).toMatchObject(table);
    }
    const { stdout } = await vhdx('info', image);
    expect(stdout).toMatch(/^partitions: +4 partitions in a GPT, sectors of 512 bytes, disk 11111111-/m);
    expect(stdout).toMatch(/^ {2}1 {2}0x100000 +10 MiB +EFI system, "EFI system partition"$/m);
  });

  test('for several files, of which some cannot be read', async () => {
    const folder = await tempDir();
    const [good, text] = [await saved(buildImage(), join(folder, 'good.vhdx')), join(folder, 'text')];
    await writeFile(text, 'not an image');
    const nowhere = join(folder, 'nowhere');
    const info = await output('info', good, nowhere, text);
    expect(info.status).toBe(1);
    expect(info.document).toMatchObject([
      { filename: good, format: 'vhdx' },
      { filename: nowhere, error: { code: 'read-failed', message: 'no such file' } },
      { filename: text, error: { code: 'file-signature', offset: 0 } },
    ]);
    expect(info.stderr.match(/^vhdx: /gm)).toHaveLength(2);
    const check = await output('check', good, nowhere, text);
    expect(check).toMatchObject({
      status: 1,
      document: [{ status: 'sound' }, { error: {} }, { status: 'unreadable' }],
    });
    const damaged = await saved(buildImage({ blocks: { 0: { state: 4 } } }), join(folder, 'damaged.vhdx'));
    expect(await output('check', good, damaged, good)).toMatchObject({ status: 2 });
    const human = await vhdx('check', good, damaged);
    expect(human.stdout.match(/^\S.*: (sound|corrupt)/gm)).toHaveLength(2);
  });

  test('for a repair, planned and made', async () => {
    const folder = await tempDir();
    const dirty = await saved(dirtied(clean, structureSectors(clean)), join(folder, 'dirty.vhdx'));
    const planned = await output('repair', '--dry-run', dirty);
    expect(isOne('repair')(planned.document)).toBe(true);
    expect(planned).toMatchObject({
      status: 0,
      stderr: '',
      document: { filename: dirty, 'dry-run': true, repairs: [{ kind: 'replay-log' }], replay: { entries: 1 } },
    });
    const done = await output('repair', dirty);
    expect(done.document).toEqual({ ...planned.document, 'dry-run': false });
    expect((await output('repair', dirty)).document).toMatchObject({ repairs: [], 'dry-run': false });
  });

  test('for a check that repairs first, with the counts of qemu-img', async () => {
    const folder = await tempDir();
    const leaking = patch(clean, 0x20010, [1]);
    leaking.truncate(leaking.size + 3 * MiB);
    const path = await saved(leaking, join(folder, 'leaking.vhdx'));
    expect((await output('check', path)).document).not.toHaveProperty('repairs');
    const repaired = await output('check', '-r', 'all', path);
    expect(isOne('check')(repaired.document)).toBe(true);
    expect(repaired).toMatchObject({
      status: 0,
      document: {
        status: 'sound',
        repairs: [{ kind: 'header' }, { kind: 'cut-leak' }],
        'corruptions-fixed': 1,
        'leaks-fixed': 3,
      },
    });
    const again = await output('check', '-r', 'all', path);
    expect(again.document.repairs).toEqual([]);
    expect(again.document).not.toHaveProperty('leaks-fixed');
    const damaged = await saved(buildImage({ blocks: { 0: { state: 4 } } }), join(folder, 'damaged.vhdx'));
    expect((await output('check', '-r', 'leaks', damaged)).document).toMatchObject({
      status: 'corrupt',
      repairs: [],
      'repair-error': { code: 'bat-reserved-state', facts: { block: 0 } },
    });
  });

  test('for a failure', async () => {
    const nowhere = join(await tempDir(), 'nowhere');
    expect((await output('repair', nowhere)).document).toMatchObject({ filename: nowhere, error: {} });
    for (const command of ['info', 'check', 'map']) {
      const { status, document, stderr } = await output(command, nowhere);
      expect(isOne('failure')(document)).toBe(true);
      expect({ status, document }).toMatchObject({
        status: 1,
        document: { filename: nowhere, error: { code: 'read-failed' } },
      });
      expect(stderr).toBe(`vhdx: ${nowhere}: no such file\n`);
    }
  });

  test('and a document with a key that the schema does not know would be found', async () => {
    const { document } = await output('info', await saved(buildImage(), join(await tempDir(), 'disk.vhdx')));
    expect(isValid({ ...document, fileSize: 1 })).toBe(false);
    expect(isValid({ ...document, schema: 2 })).toBe(false);
  });

  test('which knows all keys of every object in it', () => {
    const open: string[] = [];
    const walk = (node: unknown, path: string): void => {
      if (typeof node !== 'object' || node === null) return;
      const isObject = 'type' in node && node.type === 'object';
      if (isObject && !('additionalProperties' in node && node.additionalProperties !== true)) open.push(path);
      for (const [key, value] of Object.entries(node)) walk(value, `${path}/${key}`);
    };
    walk(schema.$defs, '#/$defs');
    expect(open).toEqual([]);
  });
});

describe('text out of an image', () => {
  const evil = 'x \u001b[2J \u007f \u009b31m \u202e\n"state": "sound"';

  test('reaches JSON as data: no control character, and the same text when it is parsed', async () => {
    const folder = await tempDir();
    const entries = locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: `.\\${evil}` });
    const image = buildImage({ type: 'differencing', blocks: {}, creator: evil, parentLocator: { entries } });
    const path = await saved(image, join(folder, 'child.avhdx'));
    const { document, stdout } = await output('info', '--no-parent', path);
    expect(document['format-specific'].data.creator).toBe(evil);
    expect(document['backing-filename']).toBe(`.\\${evil}`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  test('cannot add a line to what people read, in keys neither', async () => {
    const entries = [
      ...locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '.\\base.vhdx' }),
      { key: `key\n${evil}`, value: `value\n${evil}` },
    ];
    const image = buildImage({ type: 'differencing', blocks: {}, creator: evil, parentLocator: { entries } });
    const path = await saved(image, join(await tempDir(), 'child.avhdx'));
    const { stdout } = await vhdx('info', path);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(stdout).not.toMatch(/^"state"/m);
  });
});

describe('a chain with a broken member', () => {
  test('is shown down to the member that is at fault, which is named', async () => {
    const folder = await tempDir();
    const { child, base } = await saveChain(folder, buildImage({ items: (items) => items.slice(1) }));
    const { status, document, stderr } = await output('info', '--backing-chain', child);
    expect(status).toBe(1);
    expect(document).toMatchObject([
      { filename: child, 'format-specific': { data: { 'parent-error': expect.stringContaining('base.vhdx') } } },
      { filename: base, error: { code: 'parent-damaged' } },
    ]);
    expect(stderr).toMatch(new RegExp(`^vhdx: ${base}: `));
    const human = await vhdx('info', '--backing-chain', child);
    expect(human.stdout.match(/^image:/gm)).toHaveLength(1);
    expect(await vhdx('info', child)).toMatchObject({ status: 0, stderr: '' });
  });

  test('is shown past that member, if it still says what its parent is', async () => {
    const folder = await tempDir();
    const { files } = chainOf({}, {}, {}, {});
    const names = [3, 2, 1, 0].map((depth) => join(folder, nameAt(depth)));
    const [top = '', third, broken, base] = names;
    for (const [i, image] of files.entries()) await saved(image, names[i] as string);
    await truncate(broken as string, (files[2] as BuiltImage).layout.bat.offset + 4096);
    const { status, document } = await output('info', '--backing-chain', top);
    expect(status).toBe(1);
    expect(document).toMatchObject([
      { filename: top, format: 'vhdx' },
      { filename: third, format: 'vhdx' },
      { filename: broken, error: { code: 'parent-damaged' } },
      { filename: base, format: 'vhdx' },
    ]);
    const lowest = await output('info', '--backing-chain', broken as string);
    expect(lowest.document).toMatchObject([
      { filename: broken, error: {} },
      { filename: base, format: 'vhdx' },
    ]);
  });

  test('whose parent is another state is read with the override, with a warning, and is not sound', async () => {
    const folder = await tempDir();
    const { child } = await saveChain(folder, buildImage({ dataWriteGuid: 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee' }));
    const read = await vhdx('read', '--ignore-parent-mismatch', '--length', '512', child);
    expect(read).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(`^vhdx: ${child}: warning: Parent Locator: `),
    });
    const check = await output('check', '--ignore-parent-mismatch', child);
    expect(check).toMatchObject({ status: 2, document: { status: 'corrupt' } });
    expect(check.document.findings).toContainEqual(expect.objectContaining({ code: 'parent-mismatch' }));
  });
});

describe('an image that is at fault as a whole', () => {
  /** The first four bytes of both headers, which no reader accepts then. */
  const withoutHeaders = () =>
    buildImage()
      .write(64 * KiB, new Uint8Array(4))
      .write(128 * KiB, new Uint8Array(4));

  test('is refused by a plain conversion, whose error names --salvage, and is written with it as unverified', async () => {
    const folder = await tempDir();
    const path = join(folder, 'disk.vhdx');
    await saveFile(withoutHeaders(), path);
    const out = join(folder, 'disk.img');
    for (const command of [
      ['convert', path, out],
      ['read', '--length', '1', path],
    ]) {
      expectFailure(await vhdx(...command), 1, `vhdx: ${path}: `, 'convert --salvage');
    }
    const { status, stderr } = await vhdx('convert', '--salvage', path, out);
    expect(status).toBe(2);
    expect(stderr).toMatch(new RegExp(`^vhdx: ${path}: warning: headers: no header can be read`));
    expect(Buffer.compare(await readFile(out), modelOf(buildImage()).expected(0, 8 * MiB))).toBe(0);
    const check = await output('check', path);
    expect(check).toMatchObject({ status: 1, document: { status: 'unreadable' } });
    expect(check.document.findings).toContainEqual(expect.objectContaining({ code: 'salvage-possible' }));
  });
});
