import { join } from 'node:path';
import { createVhdx, editVhdx } from '../../src/index.js';
import { buildImage } from './build-image.js';
import { saved } from './command.js';
import { MiB } from './encode-primitives.js';
import { STATE } from './image-spec.js';
import { sourceBytes } from './scripted-source.js';
import { tempDir } from './tools.js';

/** A folder with a parent, its child, and a damaged image whose blocks share places. */
export async function folderOfImages() {
  const folder = await tempDir();
  const path = (name: string) => join(folder, name);
  const base = path('base.vhdx');
  await createVhdx(base, { size: 64 * MiB, blockSize: MiB });
  const disk = await editVhdx(base);
  for (let block = 0; block < 20; block += 2) await disk.write(sourceBytes(block * 7, MiB), 3 * block * MiB);
  await disk.close();
  const child = path('child.avhdx');
  await createVhdx(child, { parent: base });
  const top = await editVhdx(child);
  await top.write(sourceBytes(5, 300_000), 7 * MiB + 512);
  await top.close();
  const block = (offset: number) => ({ state: STATE.fullyPresent, offset });
  const blocks = { 0: block(8 * MiB), 1: block(9 * MiB), 2: block(8 * MiB), 3: block(20 * MiB), 4: block(90 * MiB) };
  const bad = await saved(buildImage({ virtualSize: 16 * MiB, blocks, fileSize: 40 * MiB }), path('bad.vhdx'));
  return { folder, path, base, child, bad };
}
