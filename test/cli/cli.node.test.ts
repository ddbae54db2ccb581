import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { ending, expectFailure, saved, startVhdx, vhdx, vhdxWith } from '../support/command.js';
import { GiB, KiB, MiB, TiB } from '../support/encode-primitives.js';
import { GUID } from '../support/encode-structures.js';
import type { ImageSpec } from '../support/image-spec.js';
import { SLOW } from '../support/time-limits.js';
import { needs, tempDir, tool } from '../support/tools.js';

const qemuImg = tool('qemu-img');
const subcommands = ['info', 'check', 'map', 'create', 'repair', 'convert', 'read', 'checksum', 'compare'];

describe('vhdx', () => {
  test('tells its version', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await vhdx('--version')).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('lists its subcommands, and how sizes may be written', async () => {
    const { status, stdout, stderr } = await vhdx('--help');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const name of subcommands) expect(stdout).toMatch(new RegExp(`^  ${name} +[a-z]`, 'm'));
    expect(stdout).toContain('4k, 10G, 0x100000');
  });

  test('shows the same, as an error, where it is told nothing', async () => {
    const { status, stdout, stderr } = await vhdx();
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('Usage: vhdx');
  });

  test.each(subcommands)('explains %s, with examples and exit codes', async (name) => {
    const { status, stdout, stderr } = await vhdx(name, '--help');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(`Usage: vhdx ${name} [options]`);
    expect(stdout).toMatch(new RegExp(`^  vhdx ${name} .*\\.vhdx`, 'm'));
    expect(stdout).toMatch(/^Exit codes: 0/m);
    if (name !== 'repair') expect(stdout).toContain('--parent <path>'); // which needs no parent
    expect(await vhdx('help', name)).toMatchObject({ status: 0, stdout });
  });

  test.each([
    [['inof', 'x.vhdx'], 1, "unknown command 'inof' (Did you mean info?)"],
    [['info'], 1, "missing required argument 'file'"],
    [['map', 'a.vhdx', 'b.vhdx'], 1, 'too many arguments'],
    [['info', '--output', 'xml', 'x.vhdx'], 1, 'human, json'],
    [['convert', '-O', 'qcow2', 'x.vhdx', 'y'], 1, 'raw, vpc, vhd'],
    [['map', '-f', 'raw', 'x.img'], 1, 'Allowed choices are vhdx.'],
    [['read', '-f', 'qcow2', 'x.img'], 1, 'vhdx, raw, vpc, vhd'],
    [['read', '--offset', '4Q', 'x.vhdx'], 1, "'4Q' is invalid"],
    [['read', '--offset', '1.0001k', 'x.vhdx'], 1, 'not a whole number of bytes'],
    [['read', '--offset', '8E', 'x.vhdx'], 1, 'more than any disk has'],
    [['checksum'], 1, 'name an image'],
    [['compare', 'x.vhdx'], 2, "missing required argument 'b'"],
    [['compare', '--what', 'x.vhdx', 'y.vhdx'], 2, "unknown option '--what'"],
  ])('refuses %j in one line', async (args, status, text) => {
    expectFailure(await vhdx(...args), status, text);
  });
});

/** The items of an image, with another block size in the file parameters. */
function withBlockSize(blockSize: number): NonNullable<ImageSpec['items']> {
  const data = new Uint8Array(8);
  new DataView(data.buffer).setUint32(0, blockSize, true);
  return (items) => items.map((item) => (item.id === GUID.fileParameters ? { ...item, data } : item));
}

/** Files that are no VHDX, or not a whole one, by what must be said of them. */
const badFiles: Record<string, { bytes: Uint8Array | string; says: string }> = {
  'empty.vhdx': { bytes: '', says: 'empty' },
  'byte.vhdx': { bytes: 'v', says: 'not a VHDX file' },
  'text.vhdx': { bytes: 'vhdx is a fine format\n', says: 'not a VHDX file' },
  'zip.vhdx': { bytes: 'PK\u0003\u0004 and so on', says: 'zip' },
};

describe('bad input', () => {
  test.each(Object.entries(badFiles))('%s is refused by every subcommand', async (name, { bytes, says }) => {
    const folder = await tempDir();
    const path = join(folder, name);
    await writeFile(path, bytes);
    for (const command of ['info', 'map', 'read', 'checksum']) {
      const result = await vhdx(command, path);
      expectFailure(result, 1, `vhdx: ${path}: `, says);
    }
    expectFailure(await vhdx('convert', path, join(folder, 'out')), 1, `vhdx: ${path}: `, says);
    const { status, stdout } = await vhdx('check', path);
    expect({ status, stdout }).toMatchObject({ status: 1, stdout: expect.stringContaining('unreadable') });
  });

  test('a folder, a missing file and a server that is not there are told as such', SLOW.programs, async () => {
    const folder = await tempDir();
    const url = 'http://127.0.0.1:9/disk.vhdx?key=secret';
    for (const command of ['info', 'check', 'map', 'read', 'checksum']) {
      expectFailure(await vhdx(command, folder), 1, `vhdx: ${folder}: is a folder`);
      expectFailure(await vhdx(command, join(folder, 'no.vhdx')), 1, `vhdx: ${join(folder, 'no.vhdx')}: no such file`);
    }
    expectFailure(await vhdx('compare', folder, folder), 2, 'is a folder');
    const result = await vhdx('info', url);
    expectFailure(result, 1, 'vhdx: http://127.0.0.1:9/disk.vhdx: ', 'could not be reached');
    expect(result.stderr).not.toContain('secret');
  });

  needs(qemuImg).test('another format is named', async () => {
    const folder = await tempDir();
    for (const [format, options, says] of [
      ['qcow2', 'cluster_size=65536', 'qcow2'],
      ['vmdk', 'subformat=monolithicSparse', 'VMDK'],
      ['vdi', 'static=off', 'VDI'],
      ['qed', 'cluster_size=65536', 'QED'],
    ] as const) {
      const path = join(folder, `${says}-${options}.img`);
      const made = await qemuImg.run(['create', '-f', format, '-o', options, path, '16M']);
      expect(made).toMatchObject({ status: 0, stderr: '' });
      expectFailure(await vhdx('info', path), 1, `vhdx: ${path}: `, says);
    }
  });

  test('a file cut anywhere in its structures is refused in one line, and a cut payload only where it is read', async () => {
    const folder = await tempDir();
    const image = buildImage();
    const whole = await saved(image, join(folder, 'whole.vhdx'));
    const bytes = await readFile(whole);
    const { bat, metadata } = image.layout;
    const cuts = [1, 8, 520, 64 * KiB, 100 * KiB, 192 * KiB, MiB - 1, MiB, metadata.offset + 100, bat.offset + 8];
    for (const length of cuts) {
      const path = join(folder, 'cut.vhdx');
      await writeFile(path, bytes.subarray(0, length));
      const result = await vhdx('info', path);
      expectFailure(result, 1, `vhdx: ${path}: `);
    }
    await truncate(whole, image.layout.blockOffset(2));
    expect(await vhdx('info', whole)).toMatchObject({ status: 0, stdout: expect.stringContaining('bat-past-end') });
    expect(await vhdx('read', '--length', '1M', whole)).toMatchObject({ status: 0, stderr: '' });
    const lost = await vhdx('read', '--offset', '2M', whole);
    expectFailure(lost, 1, `vhdx: ${whole}: BAT entry 2: `, 'past the end of the file');
  });

  test.each<[string, ImageSpec, string]>([
    ['region table with 2^32-1 entries', { regionTables: { entryCount: 0xffffffff } }, '4294967295'],
    ['metadata table with 65535 entries', { metadata: { entryCount: 0xffff } }, '65535'],
    ['disk of 2^63 bytes', { virtualSize: 2n ** 63n }, 'Virtual Disk Size'],
    ['disk of 2^53 bytes', { virtualSize: 2n ** 53n }, 'Virtual Disk Size'],
    ['disk of 64 TiB with the BAT of a small one', { virtualSize: 64 * TiB, places: { bat: { length: MiB } } }, 'BAT'],
    ['block size of 4 GiB', { items: withBlockSize(0xffffffff) }, 'File Parameters'],
  ])('a %s is refused in one line', async (_, spec, says) => {
    const path = await saved(buildImage(spec), join(await tempDir(), 'disk.vhdx'));
    expectFailure(await vhdx('info', path), 1, `vhdx: ${path}: `, says);
    expect(await vhdx('check', path)).toMatchObject({ status: 1, stderr: '' });
  });

  test('a block beyond 2^53 spoils only what it holds', async () => {
    const image = buildImage({ bat: { 1: (2n ** 63n) | 6n } });
    const path = await saved(image, join(await tempDir(), 'disk.vhdx'));
    expect(await vhdx('read', '--length', '1M', path)).toMatchObject({ status: 0, stderr: '' });
    expectFailure(await vhdx('read', '--offset', '1M', path), 1, `vhdx: ${path}: BAT entry 1: `);
    expect(await vhdx('check', path)).toMatchObject({ status: 2, stderr: '' });
  });

  test('text out of an image cannot reach the terminal as a command', async () => {
    const folder = await tempDir();
    const path = await saved(buildImage({ creator: 'evil \u001b[2J\u009b31m\u202e' }), join(folder, 'disk.vhdx'));
    const { stdout } = await vhdx('info', path);
    expect(stdout).toContain('evil \\u001b[2J\\u009b31m\\u202e');
  });

  test('a name cannot either, whichever command shows it', SLOW.programs, async () => {
    const folder = await tempDir();
    const odd = (name: string) => join(folder, `${name}\u001b[2J\nvhdx: forged\u061c\u2028`);
    const path = await saved(buildImage({ placement: 'gaps', fileSize: (end) => end + 3 * MiB }), odd('disk'));
    for (const args of [
      ['info', path],
      ['check', path],
      ['map', path],
      ['repair', '--dry-run', path],
      ['check', '-r', 'all', path],
      ['create', odd('new'), '1M'],
      ['create', odd('new'), '1M'],
      ['create', '-b', path, odd('child')],
      ['info', '--backing-chain', odd('child')],
      ['compare', path, odd('new')],
      ['convert', path, odd('copy')],
      ['read', '--offset', '1T', path],
    ]) {
      const { stdout, stderr } = await vhdx(...args);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(stdout + stderr, args.join(' ')).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u061c\u2028]|^vhdx: forged/m);
    }
  });

  test('an address keeps its secrets, also one that is malformed or of another kind', SLOW.programs, async () => {
    const folder = await tempDir();
    const image = await saved(buildImage(), join(folder, 'disk.vhdx'));
    const at = (name: string) => join(folder, name);
    for (const url of [
      'http://user:secret@ho st/x',
      'https://user:secret@[::1/x?secret',
      'HTTP://user:secret@127.0.0.1:99999999/x',
      's3://user:secret@bucket/x?secret',
      'file://user:secret@host/x',
    ]) {
      for (const args of [
        ['info', url],
        ['check', '--output', 'json', url],
        ['compare', url, image],
        ['info', '--parent', url, image],
        ['convert', url, at('out.img')],
        ['create', '-b', url, at('child.vhdx')],
        ['create', url, '1M'],
        ['repair', url],
        ['check', '-r', 'all', url],
        ['convert', image, url],
      ]) {
        const { status, stdout, stderr } = await vhdxWith({ cwd: folder }, ...args);
        expect(stdout + stderr, args.join(' ')).not.toContain('secret');
        if (args[1] !== '--parent') expect(status, args.join(' ')).not.toBe(0); // an image without a parent looks for none
      }
    }
    expectFailure(
      await vhdx('info', 's3://bucket/x'),
      1,
      's3://bucket/x: a URL that begins with s3: cannot be read; name',
    );
    expect((await readdir(folder)).sort()).toEqual(['disk.vhdx']);
  });
});

describe('a broken pipe', () => {
  test('ends the help quietly', async () => {
    const child = startVhdx('--help');
    child.stdout?.destroy();
    expect(await ending(child)).toEqual({ status: 0, stderr: '' });
  });

  test('does not change what check and compare have found', async () => {
    const folder = await tempDir();
    const damaged = await saved(buildImage({ blocks: { 0: { state: 4 } } }), join(folder, 'damaged.vhdx'));
    const sound = await saved(buildImage(), join(folder, 'sound.vhdx'));
    const [a, b] = [join(folder, 'a'), join(folder, 'b')];
    await writeFile(a, 'one');
    await writeFile(b, 'two');
    for (const [args, status] of [
      [['check', damaged], 2],
      [['check', sound], 0],
      [['compare', a, a], 0],
      [['compare', a, b], 1],
    ] as const) {
      const child = startVhdx(...args);
      child.stdout?.destroy();
      expect(await ending(child)).toEqual({ status, stderr: '' });
    }
  });

  test.each([
    ['convert', ['-']],
    ['read', []],
    ['map', ['--output', 'json']],
  ])('ends %s quietly, and not with success', async (command, more) => {
    const blocks = Object.fromEntries(
      Array.from({ length: 4096 }, (_, i) => [2 * i, { state: 6, offset: (8 + i) * MiB, ...(i < 16 && { data: 1 }) }]),
    );
    const image = buildImage({ virtualSize: 8 * GiB, blocks, fileSize: (8 + 4096) * MiB });
    const path = await saved(image, join(await tempDir(), 'disk.vhdx'));
    const child = startVhdx(command, path, ...more);
    const ended = ending(child);
    child.stdout?.once('data', () => child.stdout?.destroy());
    expect(await ended).toEqual({ status: 141, stderr: '' }); // 128 and the number of SIGPIPE
  });
});
