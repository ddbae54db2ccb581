// What happens to a session whose file fails: one write is rejected, or nothing is written any more; never more is lost.
import { describe, expect, test } from 'vitest';
import { openVhdx, VhdxError } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { CrashFile, type Fault } from '../support/crash/crash-file.js';
import { PageImage } from '../support/crash/page-image.js';
import { readState } from '../support/crash/state-reader.js';
import { editFile } from '../support/edit/driven-disk.js';
import { MiB } from '../support/encode-primitives.js';
import { expectSameBytes } from '../support/same-bytes.js';

/** A file of an empty image, and a switch that decides what fails. */
function failingFile(): { file: CrashFile; faults: { fail?: Fault | undefined } } {
  const image = PageImage.of(buildImage({ virtualSize: 6 * MiB, blocks: {} }).toUint8Array());
  const faults: { fail?: Fault | undefined } = {};
  return { file: new CrashFile(image, { fail: (...what) => faults.fail?.(...what) }), faults };
}

function bytesOf(image: PageImage): Uint8Array {
  const bytes = new Uint8Array(image.size);
  image.readInto(bytes, 0);
  return bytes;
}

const noSpace = () => new VhdxError('no-space', 'there is no room');
const broken = () => new VhdxError('write-failed', 'input/output error');
const filled = (byte: number) => new Uint8Array(4096).fill(byte);

describe('a full device', () => {
  test.each(['write', 'truncate'] as const)(
    'that fails a %s rejects that call and harms nothing else',
    async (kind) => {
      const { file, faults } = failingFile();
      const disk = await editFile(file);
      await disk.write(filled(1), 0);
      await disk.flush();
      // So many blocks that the file must grow.
      faults.fail = (operation, offset) =>
        operation === kind && (kind === 'truncate' || offset > 4 * MiB) ? noSpace() : undefined;
      const writes = [1, 2, 3, 4, 5].map((block) => disk.write(new Uint8Array(MiB).fill(9), block * MiB));
      const results = await Promise.allSettled(writes);
      if (kind === 'write') expect(results.every(({ status }) => status === 'rejected')).toBe(true);
      for (const result of results)
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'no-space' });
      faults.fail = undefined;
      await disk.write(filled(2), 5 * MiB);
      await disk.close();
      readState(file.content());
      const read = await openVhdx(bytesOf(file.content()));
      expectSameBytes(await read.read(0, 4096), filled(1));
      expectSameBytes(await read.read(5 * MiB, 4096), filled(2));
      if (kind === 'write') expectSameBytes(await read.read(2 * MiB, 4096), filled(0));
    },
  );
});

describe('a device that fails', () => {
  test.each<[string, Fault]>([
    ['a flush', (operation) => (operation === 'flush' ? broken() : undefined)],
    ['to write the log', (operation, offset) => (operation === 'write' && offset < 2 * MiB ? broken() : undefined)],
    ['to write payload', (operation, offset) => (operation === 'write' && offset >= 4 * MiB ? broken() : undefined)],
  ])('%s ends the session, and what was flushed is there when the file is opened again', async (_, fail) => {
    const { file, faults } = failingFile();
    const disk = await editFile(file);
    await disk.write(filled(1), 0);
    await disk.flush();
    faults.fail = fail;
    const failed = disk.write(filled(2), 3 * MiB).then(() => disk.flush());
    await expect(failed).rejects.toMatchObject({ code: 'session-failed' });
    faults.fail = undefined;
    const after = file.trace.length;
    await expect(disk.write(filled(3), 0)).rejects.toMatchObject({ code: 'session-failed' });
    await expect(disk.flush()).rejects.toMatchObject({ code: 'session-failed' });
    await expect(disk.close()).rejects.toMatchObject({ code: 'session-failed' });
    expect(file.trace.length, 'nothing is written after a failure').toBe(after);
    readState(file.content());
    const read = await openVhdx(bytesOf(file.content()));
    expect(read.info.log.dirty).toBe(true);
    expectSameBytes(await read.read(0, 4096), filled(1));
  });
});
