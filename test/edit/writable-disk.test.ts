import { describe, expect, test } from 'vitest';
import { MiB } from '../../src/base/units.js';
import { checkVhdx, openVhdx } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { taggedBytes } from '../support/crash/content-model.js';
import { CrashFile } from '../support/crash/crash-file.js';
import { PageImage } from '../support/crash/page-image.js';
import { checkClosed, checkTrace } from '../support/crash/trace-rules.js';
import { editFile } from '../support/edit/driven-disk.js';
import { expectSameBytes } from '../support/same-bytes.js';

function emptyImage(): PageImage {
  return PageImage.of(buildImage({ virtualSize: 6 * MiB, blockSize: MiB, blocks: {} }).toUint8Array());
}

function bytesOf(image: PageImage): Uint8Array {
  const bytes = new Uint8Array(image.size);
  image.readInto(bytes, 0);
  return bytes;
}

describe('a disk that is written', () => {
  test('reads at once what was written, and is clean when it is closed', async () => {
    const file = new CrashFile(emptyImage());
    const disk = await editFile(file);
    await disk.write(taggedBytes(1, 5120, 3 * MiB), 5120);
    expectSameBytes(await disk.read(5120, 3 * MiB), taggedBytes(1, 5120, 3 * MiB));
    await disk.flush();
    await disk.write(taggedBytes(2, 1 * MiB, 104), 1 * MiB);
    await disk.zero(2 * MiB, MiB);
    await disk.flush();
    await disk.trim(0, MiB);
    await disk.write(taggedBytes(3, 5 * MiB, 512), 5 * MiB);
    await disk.close();
    checkTrace(file);
    checkClosed(file.content());
    const bytes = bytesOf(file.content());
    // Space that was freed inside the file stays there until something needs it.
    const findings = (await checkVhdx(bytes)).findings.filter(({ code }) => code !== 'leaked-space');
    expect(findings.map(({ code }) => code)).toEqual(['log-dead']);
    const read = await openVhdx(bytes);
    const expected = new Uint8Array(6 * MiB);
    expected.set(taggedBytes(1, 5120, 3 * MiB), 5120);
    expected.set(taggedBytes(2, 1 * MiB, 104), 1 * MiB);
    expected.fill(0, 2 * MiB, 3 * MiB);
    expected.fill(0, 0, MiB);
    expected.set(taggedBytes(3, 5 * MiB, 512), 5 * MiB);
    expectSameBytes(await read.read(0, 6 * MiB), expected);
  });
});
