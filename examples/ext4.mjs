// Looks into the ext4 file system of an image, such as WSL's ext4.vhdx:
// `node ext4.mjs IMAGE` lists the partitions, `node ext4.mjs IMAGE /home` a folder, `node ext4.mjs IMAGE /etc/fstab`
// writes a file to standard output.
import { pipeline } from 'node:stream/promises';
import ext2fs from 'ext2fs';
import { getPartitions } from 'partitioninfo';
import { openVhdx, slice } from 'vhdx';
import { SourceDisk } from './source-disk.mjs';

/** @typedef {import('vhdx').RandomAccessSource} Source */

/** The magic number of ext2, ext3 and ext4: two bytes in the superblock. @param {Source} source */
async function isExt(source) {
  const magic = new Uint8Array(2);
  if (source.size < 2048) return false;
  await source.readInto(magic, 1080);
  return magic[0] === 0x53 && magic[1] === 0xef;
}

/** The partitions of a disk as sources; a disk without a partition table, as WSL makes them, is one. @param {Source} disk */
async function partitionsOf(disk) {
  if (await isExt(disk)) return [disk];
  const { partitions } = await getPartitions(new SourceDisk(disk));
  return partitions.map(({ offset, size }) => slice(disk, offset, size));
}

/** Lists a folder, or writes a file to standard output. @param {string} path */
async function show(fs, path) {
  const stats = await fs.promises.stat(path);
  if (stats.isDirectory()) for (const name of await fs.promises.readdir(path)) console.log(name);
  else await pipeline(fs.createReadStream(path), process.stdout, { end: false });
}

/** @param {string} image @param {string | undefined} path */
async function lookInto(image, path) {
  const disk = await openVhdx(image);
  const partitions = await partitionsOf(disk);
  const kinds = await Promise.all(partitions.map(isExt));
  if (path === undefined) {
    partitions.forEach(({ size }, i) => {
      console.log(`${i + 1}: ${size} bytes${kinds[i] ? ', ext4' : ''}`);
    });
  } else {
    const partition = partitions[kinds.indexOf(true)];
    if (partition === undefined) throw new Error(`${image} has no ext4 file system`);
    await ext2fs.withMountedDisk(new SourceDisk(partition), 0, (fs) => show(fs, path));
  }
  await disk.close();
}

const [image = 'ext4.vhdx', path] = process.argv.slice(2);
await lookInto(image, path).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
