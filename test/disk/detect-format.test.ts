import { describe, expect, test } from 'vitest';
import { detectFormat, exportDisk, exportSize, openVhdx } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { asciiBytes, MiB } from '../support/encode-primitives.js';

/** A file of 4 KiB, or of another length, with bytes at an offset. */
function fileWith(offset: number, bytes: Uint8Array, length = 4096): Uint8Array {
  const file = new Uint8Array(length).fill(0x11);
  file.set(bytes, offset);
  return file;
}

describe('the format of a file', () => {
  // Magic numbers of the formats' own specifications, and of file(1).
  test.each([
    ['qcow2', 0, 'QFI\xfb', /a qcow2 image/],
    ['vmdk', 0, 'KDMV', /a VMDK image/],
    ['vmdk', 0, '# Disk DescriptorFile\nversion=1', /a VMDK descriptor/],
    ['vdi', 64, '\x7f\x10\xda\xbe', /a VDI image/],
    ['vpc', 0, 'conectix', /a VHD image \(dynamic or differencing\)/],
    ['qed', 0, 'QED\0', /a QED image/],
    ['gz', 0, '\x1f\x8b\x08', /gzip/],
    ['tar', 257, 'ustar\x0000', /a tar archive/],
    ['tar', 257, 'ustar  \0', /a tar archive/],
    ['html', 0, '<!DOCTYPE html>\n<html>', /a web page/],
    ['html', 0, '\r\n  <html lang="en">', /a web page/],
    ['git-lfs', 0, 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a', /a Git LFS pointer/],
    ['raw', 510, '\x55\xaa', /a raw disk or boot sector/],
  ])('%s is recognised at %i', async (format, offset, signature, description) => {
    const file = fileWith(offset, asciiBytes(signature));
    expect(await detectFormat(file)).toEqual({ format, description: expect.stringMatching(description) });
    await expect(openVhdx(file)).rejects.toMatchObject({
      code: 'file-signature',
      message: expect.stringMatching(description),
    });
  });

  test('of a VHDX image is vhdx, even of one that does not open', async () => {
    expect(await detectFormat(buildImage().source())).toMatchObject({ format: 'vhdx' });
    expect(await detectFormat(asciiBytes('vhdxfile'))).toMatchObject({ format: 'vhdx' });
  });

  test('is unknown for text, an empty file and zeros; the error says that it is zeros', async () => {
    for (const file of [asciiBytes('hello'), new Uint8Array(0), new Uint8Array(MiB)]) {
      expect(await detectFormat(file)).toBeUndefined();
    }
    await expect(openVhdx(new Uint8Array(MiB))).rejects.toThrow('begins with zeros');
    await expect(openVhdx(new Uint8Array(0))).rejects.toThrow('the file is empty');
  });

  test('of a fixed VHD comes with the size of its disk, if the footer is sound', async () => {
    const disk = await openVhdx(buildImage({ virtualSize: 3 * MiB + 512, blocks: {} }).source());
    const vhd = new Uint8Array(exportSize(disk, 'vhd'));
    const write = async (bytes: Uint8Array, offset: number) => vhd.set(bytes, offset);
    await exportDisk(disk, { truncate: async () => {}, write }, { format: 'vhd' });
    expect(await detectFormat(vhd)).toEqual({ format: 'vpc', description: 'a VHD image (fixed)', diskSize: 4 * MiB });
    vhd[4 * MiB + 50] = 1; // Current Size: the checksum is wrong now
    expect(await detectFormat(vhd)).toEqual({ format: 'vpc', description: 'a VHD image (fixed)' });
  });
});
