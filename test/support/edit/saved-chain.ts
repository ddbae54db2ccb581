import { join } from 'node:path';
import { openVhdx } from '../../../src/index.js';
import { pattern } from '../block-content.js';
import { type ChainFiles, chainOf, guidAt } from '../chain-files.js';
import { saved } from '../command.js';
import { MiB } from '../encode-primitives.js';
import { locatorEntries, STATE } from '../image-spec.js';
import { expectSameBytes } from '../same-bytes.js';

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });

/** Paths of a chain of three in a folder, and what the disk reads as. */
export interface SavedChain extends ChainFiles {
  readonly base: string;
  readonly middle: string;
  readonly child: string;
}

/** Saves a base, a child of it and a child of that, which change some blocks of 1 MiB each. */
export async function saveChain(folder: string, blocks = 8): Promise<SavedChain> {
  const virtualSize = blocks * MiB;
  const locator = (depth: number, name: string) => ({
    parentLocator: { entries: locatorEntries({ linkage: guidAt(depth), relativePath: `.\\${name}` }) },
  });
  const some = (seed: number, every: number) =>
    Object.fromEntries(Array.from({ length: Math.ceil(blocks / every) }, (_, i) => [i * every, present(seed + i)]));
  const chain = chainOf(
    { virtualSize, blocks: some(1000, 2) },
    { virtualSize, blocks: { ...some(2000, 3), 1: { state: STATE.zero } }, ...locator(0, 'base.vhdx') },
    {
      virtualSize,
      blocks: { ...some(3000, 1), 1: present(5), 2: { state: STATE.unmapped } },
      ...locator(1, 'middle.avhdx'),
    },
  );
  const [top, middle, bottom] = chain.files as [ChainFiles['files'][0], ChainFiles['files'][0], ChainFiles['files'][0]];
  return {
    ...chain,
    base: await saved(bottom, join(folder, 'base.vhdx')),
    middle: await saved(middle, join(folder, 'middle.avhdx')),
    child: await saved(top, join(folder, 'child.avhdx')),
  };
}

/** Saves one more child of the base in the same folder. */
export async function saveSibling(folder: string, name = 'sibling.avhdx'): Promise<string> {
  const entries = locatorEntries({ linkage: guidAt(0), relativePath: '.\\base.vhdx' });
  const [image] = chainOf({}, { virtualSize: 8 * MiB, dataWriteGuid: guidAt(70), parentLocator: { entries } }).files;
  return saved(image, join(folder, name));
}

/** Asserts that an image, with the parents in its folder, reads as it should. */
export async function expectReads(path: string, { size, expected }: ChainFiles['model']): Promise<void> {
  const disk = await openVhdx(path);
  for (let at = 0; at < size; at += MiB) {
    const length = Math.min(MiB, size - at);
    expectSameBytes(await disk.read(at, length), expected(at, length), `${path} at ${at}`);
  }
  await disk.close();
}
