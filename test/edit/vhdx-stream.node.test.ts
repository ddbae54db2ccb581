import { copyFile, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openFile, vhdxStream } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { MiB } from '../support/encode-primitives.js';
import { saveFile } from '../support/save-image.js';
import { tempDir } from '../support/tools.js';

describe('a stream of a file that is changed meanwhile', () => {
  const raw = new Uint8Array(5 * MiB).fill(3);

  test.each<[string, (path: string) => Promise<void>]>([
    [
      'written to',
      async (path) => {
        const file = await openFile(path, { write: true });
        await file.write(Uint8Array.of(1), 4 * MiB);
        await file.close?.();
        await utimes(path, new Date(), new Date(Date.now() + 10_000));
      },
    ],
    [
      'replaced by a copy of itself',
      async (path) => {
        await copyFile(path, `${path}.new`);
        await rename(`${path}.new`, path);
      },
    ],
    ['made longer', (path) => writeFile(path, new Uint8Array(6 * MiB).fill(3))],
  ])('fails before its last chunk if that is %s', async (_, change) => {
    const folder = await tempDir();
    for (const [name, content] of [['disk.img', raw] as const, ['disk.vhdx', undefined] as const]) {
      const path = join(folder, name);
      if (content) await writeFile(path, content);
      else await saveFile(buildImage({ virtualSize: 5 * MiB }), path);
      const { size, stream } = await vhdxStream(path);
      const reader = stream.getReader();
      let length = (await reader.read()).value?.length ?? 0;
      await change(path);
      const rest = async () => {
        for (let part = await reader.read(); !part.done; part = await reader.read()) length += part.value.length;
      };
      await expect(rest()).rejects.toMatchObject({ code: 'source-changed', path });
      expect(length).toBeLessThan(size);
    }
  });
});
