import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { commandLine, expectFailure, saved, vhdx, vhdxWith } from '../support/command.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { needs, run, sample, tempDir, tool } from '../support/tools.js';

const qemuImg = tool('qemu-img');
const windowsImage = sample('iotest-dynamic-1G.vhdx', { requiredInCI: false });

const size = 5 * MiB + 1536;
const image = buildImage({
  virtualSize: size,
  blocks: { 0: { state: STATE.fullyPresent, data: pattern(0) }, 3: { state: STATE.fullyPresent, data: pattern(3) } },
});
const model = modelOf(image);
const sum = (offset: number, length: number) => hexSum(crc32cReference(model.expected(offset, length)));
const hexSum = (checksum: number) => checksum.toString(16).padStart(8, '0');

async function save(built: BuiltImage = image): Promise<string> {
  return saved(built, join(await tempDir(), 'my disk.vhdx'));
}

describe('vhdx read', () => {
  test.each([
    ['0', '512', 0, 512],
    ['0x100', '1', 256, 1],
    ['1023k', '2k', MiB - 1024, 2048],
    ['3.5M', '1M', 3.5 * MiB, MiB],
  ])('--offset %s --length %s gives these bytes', async (offset, length, at, count) => {
    const { status, bytes, stderr } = await vhdx('read', '--offset', offset, '--length', length, await save());
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(Buffer.compare(bytes, model.expected(at, count))).toBe(0);
  });

  test('goes to the end of the disk where no length is given', async () => {
    const { bytes } = await vhdx('read', '--offset', '3M', await save());
    expect(Buffer.compare(bytes, model.expected(3 * MiB, size - 3 * MiB))).toBe(0);
  });

  test('refuses what leaves the disk, and gives no part of it', async () => {
    const path = await save();
    expectFailure(await vhdx('read', '--offset', '5M', '--length', '1M', path), 1, `vhdx: ${path}: `, `${size} bytes`);
    const past = await vhdx('read', '--offset', '1T', path);
    expectFailure(past, 1, `offset ${2 ** 40} is past the end of the disk, which has ${size} bytes`);
    expect(past.stderr).not.toMatch(/ -\d/);
    expect(await vhdx('read', '--offset', String(size), path)).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });
});

describe('vhdx checksum', () => {
  test('is the CRC-32C of the bytes, one line each, and goes on behind a file that fails', async () => {
    const path = await save();
    const { status, stdout, stderr } = await vhdx('checksum', path, `${path}.no`, path);
    expect(stdout).toBe(`${sum(0, size)}  ${path}\n`.repeat(2));
    expect(stderr).toBe(`vhdx: ${path}.no: no such file\n`);
    expect(status).toBe(1);
  });

  test('compares with what an object store shows', async () => {
    const path = await save();
    const hex = sum(0, size);
    const base64 = Buffer.from(hex, 'hex').toString('base64');
    for (const right of [hex, hex.toUpperCase(), base64]) {
      expect(await vhdx('checksum', '--check', right, path)).toMatchObject({ status: 0, stdout: `${hex}  ${path}\n` });
    }
    expectFailure(await vhdx('checksum', '--check', '00000000', path), 1, `the checksum is ${hex}, not 00000000`);
    expectFailure(
      await vhdx('checksum', '--check', 'what', path),
      1,
      '--check what: this is neither 8 hexadecimal digits nor the base64 of 4 bytes',
    );
  });

  test('of parts says which part, and the last one may be shorter', async () => {
    const path = await save();
    const { stdout } = await vhdx('checksum', '--offset', '1M', '--length', '2M', path);
    expect(stdout).toBe(`${sum(MiB, 2 * MiB)}  ${MiB}+${2 * MiB}/${size}  ${path}\n`);
    const last = await vhdx('checksum', '--offset', '4M', '--length', '4M', path);
    expect(last.stdout).toBe(`${sum(4 * MiB, size - 4 * MiB)}  ${4 * MiB}+${size - 4 * MiB}/${size}  ${path}\n`);
    expectFailure(await vhdx('checksum', '--offset', '1T', path), 1, 'past the end of the disk');
  });

  test('puts parts together, from standard input and from files, in any order', async () => {
    const path = await save();
    const parts = await Promise.all(
      [0, 1, 2, 3, 4, 5].map((i) => vhdx('checksum', '--offset', `${i}M`, '--length', '1M', path)),
    );
    const lines = parts.map(({ stdout }) => stdout);
    const whole = { status: 0, stdout: `${sum(0, size)}  ${path}\n`, stderr: '' };
    expect(await vhdxWith({ input: lines.toReversed().join('') }, 'checksum', '--combine')).toMatchObject(whole);
    // A batch that tries again sums some parts twice.
    expect(await vhdxWith({ input: [...lines, lines[2]].join('\r\n') }, 'checksum', '--combine')).toMatchObject(whole);
    const [first, second] = [`${path}.1`, `${path}.2`];
    await writeFile(first, lines.slice(3).join(''));
    await writeFile(second, lines.slice(0, 3).join(''));
    expect(await vhdx('checksum', '--combine', first, second)).toMatchObject(whole);
  });

  test('refuses parts that do not make a whole', async () => {
    const combine = (...lines: string[]) => vhdxWith({ input: lines.join('\n') }, 'checksum', '--combine');
    const [a, b, c] = ['11111111  0+10/30  d', '22222222  10+10/30  d', '33333333  20+10/30  d'];
    expectFailure(await combine(a, c), 1, 'vhdx: d: the part from 10 to 20 is missing');
    expectFailure(await combine(b, c), 1, 'the part from 0 to 10 is missing');
    expectFailure(await combine(a, b), 1, 'the part from 20 to 30 is missing');
    expectFailure(await combine(a, b, c, '44444444  5+10/30  d'), 1, 'overlap');
    expectFailure(await combine(a, b, c, '44444444  10+10/30  d'), 1, 'overlap or differ at 10');
    expectFailure(await combine(a, b, '33333333  20+10/31  d'), 1, 'different size');
    expectFailure(await combine(a, b, c, '44444444  30+10/30  d'), 1, 'parts reach 40');
    expectFailure(await combine(a, 'not a line'), 1, 'standard input: not a line', 'not a line');
    expectFailure(await combine(''), 1, 'no lines');
  });

  test('can be shared out over processes as its help shows', async () => {
    const path = await save();
    const { stdout } = await vhdx('checksum', '--help');
    expect(stdout).toContain('xargs -P');
    const command = commandLine()
      .map((word) => `'${word}'`)
      .join(' ');
    const script = `seq 0 $((1<<20)) $((${size} - 1)) |
      xargs -P 2 -I{} ${command} checksum --offset {} --length 1M "${path}" | ${command} checksum --combine`;
    expect(await run('sh', ['-c', script])).toMatchObject({ status: 0, stdout: `${sum(0, size)}  ${path}\n` });
  });

  needs(windowsImage, qemuImg).test('is that of the raw image that qemu-img makes', async () => {
    const path = await windowsImage.unpacked();
    const raw = join(await tempDir(), 'raw');
    const part = ['bs=1M', 'skip=31', 'count=71', `if=${path}`, `of=${raw}`];
    expect(await qemuImg.run(['dd', '-f', 'vhdx', '-O', 'raw', ...part])).toMatchObject({ status: 0 });
    const { stdout } = await vhdx('checksum', '--offset', '31M', '--length', '40M', path);
    expect(stdout.slice(0, 8)).toBe(hexSum(crc32cReference(await readFile(raw))));
  });
});

describe('names in lines of checksums', () => {
  test('are escaped as sha256sum does it, and cannot forge a line', async () => {
    const folder = await tempDir();
    const name = 'disk\n00000000  other\\.vhdx';
    await saved(image, join(folder, name));
    const sums = (...args: string[]) => vhdxWith({ cwd: folder }, 'checksum', ...args, name);
    const escaped = 'disk\\n00000000  other\\\\.vhdx';
    expect(await sums()).toMatchObject({ status: 0, stdout: `\\${sum(0, size)}  ${escaped}\n` });
    const parts = [await sums('--length', '2M'), await sums('--offset', '2M')].map(({ stdout }) => stdout).join('');
    expect(parts.split('\n')).toHaveLength(3);
    expect(await vhdxWith({ input: parts }, 'checksum', '--combine')).toMatchObject({
      status: 0,
      stdout: `\\${sum(0, size)}  ${escaped}\n`,
    });
  });

  test('may hold any other character, and parts of them add up', async () => {
    const folder = await tempDir();
    const name = 'a \u2028\u2029\u0085\u001b\v\f b';
    await saved(image, join(folder, name));
    const sums = (...args: string[]) => vhdxWith({ cwd: folder }, 'checksum', ...args, name);
    const parts = [await sums('--length', '2M'), await sums('--offset', '2M')].map(({ stdout }) => stdout).join('');
    const whole = await vhdxWith({ input: parts }, 'checksum', '--combine');
    expect(whole).toMatchObject({ status: 0, stdout: `${sum(0, size)}  ${name}\n` });
  });

  test('are those of sha256sum', async () => {
    const folder = await tempDir();
    for (const name of ['plain', 'a\\b', 'line\nbreak', 'carriage\rreturn', 'tab\tand \u001b[1m']) {
      await saved(image, join(folder, name));
      const theirs = await run('sha256sum', [name], { cwd: folder });
      const ours = await vhdxWith({ cwd: folder }, 'checksum', name);
      const withoutSum = (text: string) => text.replace(/[0-9a-f]{8,}/, '');
      expect(withoutSum(ours.stdout)).toBe(withoutSum(theirs.stdout));
    }
  });
});

describe('raw images and fixed VHDs', () => {
  const raw = model.expected(0, size);

  test('are read and summed with -f raw, and by their disk with -f vpc', async () => {
    const folder = await tempDir();
    const [disk, flat, vhd] = [join(folder, 'disk.vhdx'), join(folder, 'disk.img'), join(folder, 'disk.vhd')];
    await saved(image, disk);
    await writeFile(flat, raw);
    expect(await vhdx('convert', '-O', 'vpc', disk, vhd)).toMatchObject({ status: 0 });
    const whole = sum(0, size);
    expect((await vhdx('checksum', '-f', 'raw', flat)).stdout).toBe(`${whole}  ${flat}\n`);
    const part = await vhdx('checksum', '-f', 'raw', '--offset', '1M', '--length', '3M', flat);
    expect(part.stdout).toBe(`${sum(MiB, 3 * MiB)}  ${MiB}+${3 * MiB}/${size}  ${flat}\n`);
    for (const format of [['-f', 'vpc'], ['-f', 'vhd'], []]) {
      const { bytes } = await vhdx('read', ...format, '--length', String(size), vhd);
      expect(Buffer.compare(bytes, raw)).toBe(0);
      const padded = new Uint8Array(6 * MiB);
      padded.set(raw);
      expect((await vhdx('checksum', ...format, vhd)).stdout).toBe(`${hexSum(crc32cReference(padded))}  ${vhd}\n`);
    }
    const footer = await vhdx('read', '-f', 'raw', '--offset', '6M', '--length', '8', vhd);
    expect(footer.stdout).toBe('conectix');
    expectFailure(await vhdx('read', '-f', 'vpc', flat), 1, 'footer: neither the footer nor a copy of it is valid');
    expectFailure(await vhdx('checksum', flat), 1, 'not a VHDX file');
    expectFailure(await vhdx('read', '-f', 'vhdx', vhd), 1, 'a VHD image (fixed)');
  });

  test('whose header or footer is damaged are read with -f raw only', async () => {
    const path = await save();
    await writeFile(path, new Uint8Array(4096), { flag: 'r+' });
    expectFailure(await vhdx('read', '--length', '1', path), 1, 'not a VHDX file');
    expect(await vhdx('read', '-f', 'raw', '--length', '1', path)).toMatchObject({ status: 0, stdout: '\0' });
  });
});

describe('vhdx compare', () => {
  const other = (byte: number) =>
    buildImage({
      virtualSize: size,
      blockSize: 2 * MiB,
      blocks: {
        0: { state: STATE.fullyPresent, data: model.expected(0, 2 * MiB) },
        1: { state: STATE.fullyPresent, data: changed(model.expected(2 * MiB, 2 * MiB), byte) },
      },
    });
  function changed(bytes: Uint8Array, byte: number): Uint8Array {
    bytes[777] = byte;
    return bytes;
  }

  test('tells that two images, or an image and its bytes, hold the same', async () => {
    const folder = await tempDir();
    const [a, b, raw] = [join(folder, 'a.vhdx'), join(folder, 'b.vhdx'), join(folder, 'raw')];
    await saved(image, a);
    await saved(other(0), b);
    await writeFile(raw, model.expected(0, size));
    for (const [one, two] of [
      [a, b],
      [b, a],
      [a, raw],
      [raw, b],
    ] as const) {
      expect(await vhdx('compare', one, two)).toMatchObject({
        status: 0,
        stdout: 'Images are identical.\n',
        stderr: '',
      });
    }
  });

  test('exits with 1 and tells where they differ', async () => {
    const folder = await tempDir();
    const [a, b, text] = [join(folder, 'a.vhdx'), join(folder, 'b.vhdx'), join(folder, 'text')];
    await saved(image, a);
    await saved(other(1), b);
    await writeFile(text, 'not an image');
    const where = `Content mismatch at offset ${2 * MiB + 777}!\n`;
    expect(await vhdx('compare', a, b)).toMatchObject({ status: 1, stdout: where, stderr: '' });
    const { status, stdout } = await vhdx('compare', a, text);
    expect(status).toBe(1);
    expect(stdout).toContain('has no known format and was read as raw');
  });

  test('takes a longer disk for the same where the rest is zero, unless it is told not to', async () => {
    const folder = await tempDir();
    const [a, b] = [join(folder, 'a.vhdx'), join(folder, 'raw')];
    await saved(image, a);
    await writeFile(b, Buffer.concat([model.expected(0, size), new Uint8Array(MiB)]));
    const { status, stdout } = await vhdx('compare', a, b);
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('the rest is zero') });
    expect(await vhdx('compare', '--same-size', a, b)).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('size mismatch'),
    });
    await writeFile(b, Buffer.concat([model.expected(0, size), new Uint8Array(MiB).fill(1, MiB - 1)]));
    const longer = await vhdx('compare', b, a);
    expect(longer).toMatchObject({ status: 1, stdout: expect.stringContaining(`at offset ${size + MiB - 1}!`) });
  });

  test('compares a fixed VHD by its disk', async () => {
    const folder = await tempDir();
    const [a, vhd] = [join(folder, 'a.vhdx'), join(folder, 'a.vhd')];
    await saved(image, a);
    expect(await vhdx('convert', '-O', 'vpc', a, vhd)).toMatchObject({ status: 0 });
    for (const sides of [
      [a, vhd],
      [vhd, a],
      ['-F', 'vpc', a, vhd],
      ['-f', 'vhd', '-F', 'vhdx', vhd, a],
    ]) {
      const { status, stdout } = await vhdx('compare', ...sides);
      expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^Images are identical\./) });
    }
    const footer = await vhdx('compare', '-F', 'raw', a, vhd);
    expect(footer).toMatchObject({ status: 1, stdout: expect.stringContaining(`at offset ${6 * MiB}!`) });
  });

  test('names the option of the image that it cannot read: -f of the first, -F of the second', async () => {
    const folder = await tempDir();
    const [a, qcow2] = [join(folder, 'a.vhdx'), join(folder, 'b.qcow2')];
    await saved(image, a);
    await writeFile(qcow2, Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), new Uint8Array(504)]));
    expectFailure(await vhdx('compare', qcow2, a), 2, qcow2, '; -f raw reads its bytes');
    expectFailure(await vhdx('compare', a, qcow2), 2, qcow2, '; -F raw reads its bytes');
  });

  test('says nothing with -q, and still tells by its exit code', async () => {
    const folder = await tempDir();
    const [a, b] = [join(folder, 'a.vhdx'), join(folder, 'b.vhdx')];
    await saved(image, a);
    await saved(other(1), b);
    expect(await vhdx('compare', '-q', a, b)).toMatchObject({ status: 1, stdout: '', stderr: '' });
    expect(await vhdx('compare', '-q', a, a)).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  needs(qemuImg).test('exits with 2 for a format that is recognised and cannot be read', async () => {
    const folder = await tempDir();
    const a = await saved(image, join(folder, 'a.vhdx'));
    for (const [format, option, says] of [
      ['qcow2', 'cluster_size=65536', 'a qcow2 image'],
      ['vmdk', 'subformat=monolithicSparse', 'a VMDK image'],
      ['vdi', 'static=off', 'a VDI image'],
    ] as const) {
      const b = join(folder, `b.${format}`);
      expect(await qemuImg.run(['create', '-f', format, '-o', option, b, '16M'])).toMatchObject({ status: 0 });
      expectFailure(await vhdx('compare', a, b), 2, `vhdx: ${b}: `, says);
      expectFailure(await vhdx('compare', b, a), 2, `vhdx: ${b}: `, says);
      expect(await vhdx('compare', '-F', 'raw', a, b)).toMatchObject({ status: 1, stderr: '' });
    }
  });

  test('exits with 2 where one of them cannot be read', async () => {
    const folder = await tempDir();
    const a = await saved(image, join(folder, 'a.vhdx'));
    expectFailure(
      await vhdx('compare', a, join(folder, 'no.vhdx')),
      2,
      `vhdx: ${join(folder, 'no.vhdx')}: no such file`,
    );
    const damaged = await saved(buildImage({ virtualSize: size, blocks: { 0: { state: 4 } } }), join(folder, 'b.vhdx'));
    expectFailure(await vhdx('compare', a, damaged), 2, damaged, 'BAT entry 0');
  });
});
