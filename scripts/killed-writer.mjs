// @ts-check
/**
 * What `kill-writers.mjs` starts and kills: writes to an image until it is ended, and says what is flushed.
 *
 *     node scripts/killed-writer.mjs FILE SEED
 */
import { operation } from './kill-operations.mjs';

const [path = '', seed = '1'] = process.argv.slice(2);
const { editVhdx } = await import(new URL('../dist/index.js', import.meta.url).href);
const disk = await editVhdx(path);
for (let number = 1; ; number++) {
  const { kind, offset, bytes } = operation(Number(seed), number, disk.size);
  if (kind === 'write') await disk.write(bytes, offset);
  else await disk[kind](offset, bytes.length);
  if (number % 3 !== 0) continue;
  const done = number;
  const flushed = disk.flush().then(() => process.stdout.write(`${done}\n`));
  if (number % 2 === 0) await flushed; // otherwise the next operations go on meanwhile
}
