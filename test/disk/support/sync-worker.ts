import { openVhdx } from '../../../src/index.js';
import { crc32cReference } from '../../support/crc32c-reference.js';

addEventListener('message', async ({ data }: MessageEvent<File>) => {
  try {
    const disk = await openVhdx(data, { sync: true });
    const meanwhile = disk.read(0, disk.size);
    const parts = [0, 7, 11].map((block, i) => {
      const at = block * 1024 ** 2 + ([0, -100, 5][i] ?? 0);
      return crc32cReference(disk.readSync(at, 70_000));
    });
    const whole = crc32cReference(disk.readSync(0, disk.size));
    postMessage({ parts, meanwhile: crc32cReference(await meanwhile), whole });
    await disk.close();
  } catch (error) {
    postMessage(String(error));
  }
});
