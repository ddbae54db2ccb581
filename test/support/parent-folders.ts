import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type OpenOptions, openVhdx, VhdxError } from '../../src/index.js';
import { pattern } from './block-content.js';
import { type BuiltImage, buildImage } from './build-image.js';
import { guidAt } from './chain-files.js';
import { modelOf } from './disk-model.js';
import { expectContent } from './expect-opening.js';
import { type ImageSpec, locatorEntries, STATE } from './image-spec.js';
import { saveFile } from './save-image.js';
import { tempDir } from './tools.js';

/** Paths of a parent locator. */
export type Paths = Omit<Parameters<typeof locatorEntries>[0], 'linkage'>;
const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });
/** The parent that the child wants, and an image that it does not want. */
export const base = buildImage({
  blocks: { 0: present(1), 3: present(2) },
  dataWriteGuid: guidAt(0),
  headers: { fileWriteGuid: guidAt(7) },
});
export const other = buildImage({ dataWriteGuid: guidAt(99) });
/** A child of {@link base} that looks for it in these places. */
export const childWith = (paths: Paths, spec: ImageSpec = {}): BuiltImage =>
  buildImage({
    type: 'differencing',
    blocks: { 1: present(3) },
    parentLocator: { entries: locatorEntries({ linkage: guidAt(0), ...paths }) },
    ...spec,
  });
const model = modelOf(childWith({}), modelOf(base));

/** A folder `vm` with the child in it, and the parents where they are wanted. */
export async function lay(paths: Paths, parents: Record<string, BuiltImage>): Promise<{ root: string; child: string }> {
  const root = await tempDir();
  const child = join(root, 'vm', 'child.avhdx');
  for (const [name, image] of Object.entries({ 'vm/child.avhdx': childWith(paths), ...parents })) {
    await mkdir(join(root, name, '..'), { recursive: true });
    await saveFile(image, join(root, name));
  }
  return { root, child };
}

/** Asserts that a child finds its parent in a place, and reads as it should; returns the codes of its findings. */
export async function expectFound(child: string, parent: string, options: OpenOptions = {}): Promise<string[]> {
  const disk = await openVhdx(child, options);
  try {
    expect(disk.parent?.path).toBe(parent);
    await expectContent(disk, model);
    return disk.findings.map(({ code }) => code);
  } finally {
    await disk.close();
  }
}

/** The error that opening a child ends with. */
export async function refusal(child: string, options: OpenOptions = {}): Promise<VhdxError> {
  const error = await openVhdx(child, options).then(
    (disk) => disk.close(),
    (reason: unknown) => reason,
  );
  expect(error, 'the image opened').toBeInstanceOf(VhdxError);
  return error as VhdxError;
}
