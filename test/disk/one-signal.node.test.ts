import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openVhdx, type VhdxInput } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { turn } from '../support/scripted-source.js';

const image = buildImage({
  virtualSize: 8 * MiB,
  blocks: { 1: { state: STATE.fullyPresent, data: pattern(1) }, 5: { state: STATE.fullyPresent, data: pattern(2) } },
});

const inputs: Record<string, () => Promise<VhdxInput>> = {
  'any source': async () => image.source(),
  'a Blob': async () => new Blob([await bytesOf()]),
  'a file': async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vhdx-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const path = join(folder, 'disk.vhdx');
    await writeFile(path, await bytesOf());
    return path;
  },
};

async function bytesOf(): Promise<Uint8Array<ArrayBuffer>> {
  const source = image.source();
  const bytes = new Uint8Array(source.size);
  await source.readInto(bytes, 0);
  return bytes;
}

test.each(Object.entries(inputs))('one signal may govern any number of operations on %s', async (_name, input) => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error) => void warnings.push(name);
  process.on('warning', onWarning);
  onTestFinished(() => void process.off('warning', onWarning));
  const { signal } = new AbortController();
  const disk = await openVhdx(await input(), { signal });
  const many = <T>(operation: (index: number) => Promise<T>) =>
    Promise.all(Array.from({ length: 20 }, (_, i) => operation(i)));
  await many((index) => disk.read(index * 400 * KiB, 300 * KiB, { signal }));
  await many(() => disk.checksum({ signal }));
  await many(() => disk.check({ signal }));
  await many(() => disk.usage({ bins: 8, signal }));
  await many(async () => {
    for await (const extent of disk.extents({ signal })) expect(extent.length).toBeGreaterThan(0);
    for await (const chunk of disk.stream({ signal })) expect(chunk.length).toBeGreaterThan(0);
  });
  await disk.close();
  await turn();
  expect(warnings).toEqual([]);
});
