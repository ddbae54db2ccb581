// @ts-check
// Shows the command on the image that ships with the project, which QEMU refuses to open: `npm run demo`.
//
// QEMU 7.2 made it: 64 MiB in blocks of 1 MiB, one partition with an ext2 file system. Then QEMU was given a drive that
// failed (its blkdebug driver) when the BAT was to be written, so the last write is in the log and nowhere else.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

process.chdir(fileURLToPath(new URL('../', import.meta.url)));
const command = 'dist/cli/main.js';
const image = 'build/demo/disk.vhdx';

/** Shows what a user would type, and what they would see. @param {string[]} args */
function show(...args) {
  console.log(`\n$ vhdx ${args.join(' ')} ${image}`);
  const { status } = spawnSync(process.execPath, [command, ...args, image], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`vhdx ${args.join(' ')}: exit code ${status}`);
}

if (!existsSync(command)) throw new Error('dist is not there: npm run build');
await mkdir('build/demo', { recursive: true });
await writeFile(image, gunzipSync(await readFile('demo/disk.vhdx.gz')));

show('info');
show('map');
show('check');
show('checksum');
// What the failed drive did not take.
show('read', '--offset', '48M', '--length', '143');
