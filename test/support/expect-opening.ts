import { expect } from 'vitest';
import type { VhdxErrorCode } from '../../src/errors.js';
import { type OpenOptions, openVhdx, type VhdxDisk, VhdxError } from '../../src/index.js';
import type { RuleCode } from '../../src/rules.js';
import type { BuiltImage } from './build-image.js';
import { type DiskModel, modelOf } from './disk-model.js';
import { expectSameBytes } from './same-bytes.js';
import type { SparseFile } from './sparse-file.js';

/** Asserts that an image does not open, and that the error names the rule, or one of the rules, that it breaks. */
export async function expectRefused(
  image: SparseFile,
  codes: VhdxErrorCode | readonly VhdxErrorCode[],
  options?: OpenOptions,
): Promise<VhdxError> {
  const error = await openVhdx(image.source(), options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error, 'the image opened').toBeInstanceOf(VhdxError);
  const refusal = error as VhdxError;
  expect(Array.isArray(codes) ? codes : [codes]).toContain(refusal.code);
  // Where it is belongs into every message about a structure.
  expect(refusal.structure, refusal.message).toBeTruthy();
  return refusal;
}

/** Asserts that an image opens without a complaint, in strict mode too, and reads as it was built. */
export async function expectSound(image: BuiltImage, options?: OpenOptions, model?: DiskModel): Promise<VhdxDisk> {
  const disk = await openVhdx(image.source(), options);
  expect(complaints(disk)).toEqual([]);
  await expectContent(disk, model ?? modelOf(image));
  const strict = await openVhdx(image.source(), { ...options, strict: true });
  await strict.close();
  return disk;
}

/**
 * Asserts that an image opens with one kind of warning and no other complaint, that it reads as it was built,
 * and that strict mode refuses it for that warning.
 */
export async function expectWarned(
  image: BuiltImage,
  code: RuleCode,
  options?: OpenOptions,
  model?: DiskModel,
): Promise<VhdxDisk> {
  const disk = await openVhdx(image.source(), options);
  expect(complaints(disk)).toEqual([`warning: ${code}`]);
  await expectContent(disk, model ?? modelOf(image));
  await expectRefused(image, code, { ...options, strict: true });
  return disk;
}

/**
 * Asserts that an image opens with one kind of damage to single blocks and no other complaint, that reads which touch
 * the damaged blocks reject and all others are right, and that strict mode refuses it.
 */
export async function expectDamaged(
  image: BuiltImage,
  code: RuleCode,
  blocks: readonly number[],
  options?: OpenOptions,
  model?: DiskModel,
): Promise<VhdxDisk> {
  const disk = await openVhdx(image.source(), options);
  expect(complaints(disk)).toEqual([`block: ${code}`]);
  const { blockSize } = disk;
  for (const block of blocks) {
    const end = Math.min(disk.size, (block + 1) * blockSize);
    await expect(disk.read(block * blockSize, end - block * blockSize)).rejects.toMatchObject({
      name: 'VhdxError',
      code,
    });
    await expect(disk.read(end - 512, 512)).rejects.toMatchObject({ name: 'VhdxError', code });
    if (block > 0) await expect(disk.read(block * blockSize - 512, 1024)).rejects.toMatchObject({ code });
  }
  await expectContent(disk, model ?? modelOf(image), new Set(blocks));
  await expectRefused(image, code, { ...options, strict: true });
  return disk;
}

/** Asserts that the start and the end of every block read as the model says, but for blocks to be left out. */
export async function expectContent(
  disk: VhdxDisk,
  model: DiskModel,
  except: ReadonlySet<number> = new Set(),
): Promise<void> {
  expect(disk.size).toBe(model.size);
  const blocks = Math.ceil(disk.size / disk.blockSize);
  for (const block of someOf(blocks)) {
    if (except.has(block)) continue;
    const start = block * disk.blockSize;
    const end = Math.min(disk.size, start + disk.blockSize);
    const length = Math.min(4096, end - start);
    for (const offset of [start, end - length]) {
      expectSameBytes(
        await disk.read(offset, length),
        model.expected(offset, length),
        `block ${block} from ${offset} on`,
      );
    }
  }
}

/** Severity and code of all that was found, but for what is only good to know; each kind once. */
function complaints(disk: VhdxDisk): string[] {
  const kinds = disk.findings
    .filter(({ severity }) => severity !== 'info')
    .map(({ severity, code }) => `${severity}: ${code}`);
  return [...new Set(kinds)].sort();
}

/** The first and the last few of many. */
function someOf(count: number): number[] {
  const all = count <= 24 ? count : 12;
  const first = Array.from({ length: all }, (_, i) => i);
  return all === count ? first : [...first, ...first.map((i) => count - 1 - i)];
}
