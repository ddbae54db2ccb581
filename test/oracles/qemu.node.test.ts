// Images that QEMU made and wrote, read byte for byte as qemu-img and 7-Zip read them.
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { checkVhdx, type Finding, openVhdx } from '../../src/index.js';
import { concatBytes, GiB, KiB, MiB } from '../support/encode-primitives.js';
import {
  convertWithQemu,
  expectSameAsRaw,
  pyvhdi,
  qemuImg,
  qemuIo,
  readWith7Zip,
  readWithLibvhdi,
  sevenZip,
} from '../support/other-readers.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { needs, tempDir } from '../support/tools.js';

interface Made {
  readonly size: number;
  readonly subformat: 'fixed' | 'dynamic';
  readonly blockSize: number;
  readonly blockStateZero: 'on' | 'off';
  readonly logSize?: number;
}

/** Lets QEMU make an image, and write here and there into it: pattern, offset, length. */
async function make(
  made: Made,
  writes: readonly (readonly [pattern: number, offset: number, length: number])[],
): Promise<string> {
  const path = join(await tempDir(), 'image.vhdx');
  const { size, subformat, blockSize, blockStateZero, logSize = MiB } = made;
  const options = `subformat=${subformat},block_size=${blockSize},block_state_zero=${blockStateZero},log_size=${logSize}`;
  expect(await qemuImg.run(['create', '-q', '-f', 'vhdx', '-o', options, path, String(size)])).toMatchObject({
    status: 0,
    stderr: '',
  });
  const commands = writes.flatMap(([pattern, offset, length]) => [
    '-c',
    `write ${pattern === 0 ? '-z' : `-P ${pattern}`} ${offset} ${length}`,
  ]);
  if (commands.length > 0)
    expect(await qemuIo.run(['-f', 'vhdx', ...commands, path])).toMatchObject({ status: 0, stderr: '' });
  return path;
}

/** What is worse than good to know: QEMU leaves another data write GUID in the older header. */
const complaints = ({ findings }: { findings: readonly Finding[] }) =>
  findings.filter(({ severity }) => severity !== 'info');

const scattered = (size: number, blockSize: number): [pattern: number, offset: number, length: number][] => {
  const all: [number, number, number][] = [
    [0xa5, 0, 512],
    [0x11, 3 * KiB, 100 * KiB],
    [0x22, blockSize - 4096, 8192],
    [0x33, 5 * MiB + 512, 3 * MiB],
    [0x44, size - 512, 512],
    [0x00, 6 * MiB, 64 * KiB],
  ];
  return all.filter(([, offset, length]) => offset + length <= size);
};

async function writeAt(path: string, bytes: Uint8Array, position: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, position);
  await file.close();
}

describe('small images', () => {
  for (const subformat of ['fixed', 'dynamic'] as const) {
    for (const blockStateZero of ['on', 'off'] as const) {
      for (const blockSize of [1, 2, 8, 32, 256].map((size) => size * MiB)) {
        const title = `${subformat}, blocks of ${blockSize / MiB} MiB, block_state_zero=${blockStateZero}`;
        needs(qemuImg, qemuIo, sevenZip).test(`${title}: qemu-img and 7-Zip read the same`, async () => {
          // A size that ends inside a block.
          const size = 33 * MiB + 1024;
          const path = await make({ size, subformat, blockSize, blockStateZero }, scattered(size, blockSize));
          const disk = await openVhdx(path);
          expect(complaints(disk)).toEqual([]);
          expect(disk).toMatchObject({ type: subformat, blockSize, size, logicalSectorSize: 512 });
          await expectSameAsRaw(disk, await convertWithQemu(path));
          // A file that ends with the disk's last byte is an archive cut short for 7-Zip; it reads it all the same.
          const isShort = subformat === 'fixed' && blockStateZero === 'off';
          const bytes = await readWith7Zip(path, isShort ? 'Unexpected end of archive' : '');
          expectSameBytes(bytes, await disk.read(0, size));
          expect((await disk.check()).status).toBe('sound');
          await disk.close();
        });
      }
    }
  }

  needs(qemuImg, qemuIo).test('an image that was written again and again, so that its log went round', async () => {
    const writes = Array.from({ length: 300 }, (_, i): [number, number, number] => [
      1 + (i % 250),
      ((i * 37) % 300) * MiB + 4096 * (i % 7),
      4096,
    ]);
    const path = await make({ size: 300 * MiB, subformat: 'dynamic', blockSize: MiB, blockStateZero: 'on' }, writes);
    const disk = await openVhdx(path);
    expect(disk.info.log.dirty).toBe(false);
    await expectSameAsRaw(disk, await convertWithQemu(path));
    const { status, findings } = await checkVhdx(path);
    expect(status).toBe('sound');
    expect(new Set(findings.map(({ code }) => code))).toEqual(new Set(['log-dead', 'header-copies-differ']));
    await disk.close();
  });

  needs(qemuImg).test('an empty disk, which no other reader opens', async () => {
    const path = await make({ size: 0, subformat: 'dynamic', blockSize: MiB, blockStateZero: 'on' }, []);
    const disk = await openVhdx(path);
    expect(disk.size).toBe(0);
    expect(disk.findings.map(({ code }) => code)).toEqual(['virtual-disk-size-zero']);
    expect(await disk.checksum()).toBe(0);
    await disk.close();
  });
});

describe('images of more than one chunk', () => {
  for (const [subformat, blockSize, logSize] of [
    ['dynamic', MiB, MiB],
    ['dynamic', 32 * MiB, 4 * MiB],
    ['fixed', 32 * MiB, MiB],
  ] as const) {
    needs(qemuImg, qemuIo, pyvhdi).test(
      `${subformat}, blocks of ${blockSize / MiB} MiB: qemu-img and libvhdi read the same`,
      async () => {
        const size = 4 * GiB + 3 * blockSize + 512;
        const writes = [4 * GiB - 512, 4 * GiB, 4 * GiB + 2 * blockSize - 64 * KiB, size - 512].map(
          (offset, i): [number, number, number] => [0x50 + i, offset, Math.min(128 * KiB, size - offset)],
        );
        const path = await make({ size, subformat, blockSize, blockStateZero: 'on', logSize }, [
          ...scattered(size, blockSize),
          ...writes,
        ]);
        const disk = await openVhdx(path);
        expect(complaints(disk)).toEqual([]);
        await expectSameAsRaw(disk, await convertWithQemu(path));
        // Of a fixed image libvhdi reads zeros from the second chunk on.
        for (const [, offset, length] of subformat === 'fixed' ? [] : writes) {
          expectSameBytes(await readWithLibvhdi([path], offset, length), await disk.read(offset, length));
        }
        await disk.close();
      },
    );
  }

  needs(qemuImg).test(
    'the fixed image that QEMU makes and then refuses, because its last block is cut short',
    async () => {
      // It takes the last block's BAT index for its number, and so does not see that it may be short.
      const size = 4 * GiB + 8 * MiB;
      const path = await make({ size, subformat: 'fixed', blockSize: 32 * MiB, blockStateZero: 'off' }, []);
      const refused = await qemuImg.run(['info', path]);
      expect(refused.stderr).toContain('BAT');
      const disk = await openVhdx(path);
      expect(complaints(disk)).toEqual([]);
      expect(disk.info.payloadBlocks).toBe(129);
      const { size: fileSize } = await stat(path);
      const extents = [];
      for await (const extent of disk.extents()) extents.push(extent);
      expect(extents).toEqual([{ offset: 0, length: size, kind: 'data', depth: 0, fileOffset: fileSize - size }]);
      // What is put at the end of the file is at the end of the disk.
      const end = new Uint8Array(MiB).fill(0x5a);
      await writeAt(path, end, fileSize - MiB);
      expectSameBytes(await disk.read(size - 2 * MiB, 2 * MiB), concatBytes(new Uint8Array(MiB), end));
      expect((await disk.check()).status).toBe('sound');
      await disk.close();
    },
  );
});
