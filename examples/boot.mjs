// Boots the disk in an image and shows what it writes to its first serial port, until its processor halts:
// `node boot.mjs IMAGE`. The image is not written, unless it is `node boot.mjs --write IMAGE`: then what the guest writes
// is in the image, which is clean at the end. The firmware is that of Debian's package `seabios`.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { V86 } from 'v86';
import { editVhdx, openVhdx } from 'vhdx';
import { v86Disk } from './v86-disk.mjs';

const { values, positionals } = parseArgs({ options: { write: { type: 'boolean' } }, allowPositionals: true });
const [image = 'disk.vhdx'] = positionals;

/** @param {string} name */
const firmware = async (name) => {
  const bytes = await readFile(`/usr/share/seabios/${name}`);
  return { buffer: Uint8Array.from(bytes).buffer };
};

const target = values.write ? await editVhdx(image) : undefined;
const disk = target ?? (await openVhdx(image, { sync: true }));
const emulator = new V86({
  wasm_path: fileURLToPath(new URL('v86.wasm', import.meta.resolve('v86'))),
  bios: await firmware('bios.bin'),
  vga_bios: await firmware('vgabios.bin'),
  hda: /** @type {any} */ (v86Disk(disk, target)), // its types know files only
  autostart: true,
});

emulator.add_listener('serial0-output-byte', (byte) => process.stdout.write(Uint8Array.of(byte)));
const halt = /** @type {any} */ ('cpu-event-halt');
await new Promise((resolve) => emulator.add_listener(halt, resolve));
await emulator.destroy();
await disk.close();
