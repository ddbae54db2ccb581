// @ts-check
/**
 * Opens an image and writes to it, or only reads it, so that what a session takes in memory can be seen:
 * `node write-session.mjs read|write FILE`.
 */
import { library } from './harness.mjs';
import { KiB } from './images.mjs';

const [mode, path = ''] = process.argv.slice(2);
const { editVhdx, openVhdx } = await library();
const bytes = new Uint8Array(4 * KiB).fill(1);
const editing = mode === 'write' ? await editVhdx(path) : undefined;
const disk = editing ?? (await openVhdx(path));
const step = Math.floor(disk.size / 2000 / KiB) * KiB;
for (let i = 0; i < 2000; i++) {
  if (editing === undefined) await disk.readInto(bytes, i * step);
  else await editing.write(bytes, i * step);
  if (i % 100 === 0) await editing?.flush();
}
await disk.close();
