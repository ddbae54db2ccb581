// Rules 1 to 19: the file identifier, the headers, and what they say of the log.
import { describe, expect, test } from 'vitest';
import { isVhdx, openVhdx } from '../../src/index.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { LOG_GUID, writeLog } from '../support/build-log.js';
import { modelOf } from '../support/disk-model.js';
import { asciiBytes, GiB, KiB, MiB, utf16Bytes, ZERO_GUID } from '../support/encode-primitives.js';
import type { HeaderFields } from '../support/encode-structures.js';
import { expectContent, expectRefused, expectSound, expectWarned } from '../support/expect-opening.js';
import { type ImageSpec, STATE } from '../support/image-spec.js';
import { patch } from '../support/patch-image.js';
import { SparseFile } from '../support/sparse-file.js';

const FIRST = '11111111-1111-4111-8111-111111111111';
const SECOND = '22222222-2222-4222-8222-222222222222';
const UNKNOWN_REGION = 'a3e1f2c4-5b60-4d7e-8f90-112233445566';
const MAX_U64 = 2n ** 64n - 1n;

/** An image that was not closed cleanly, with an empty entry for a log. */
function dirty(spec: ImageSpec): BuiltImage {
  const image = buildImage(spec);
  writeLog(image, { entries: [{}] });
  return image;
}

describe('the file identifier', () => {
  for (const fileSignature of ['vhdxfilf', 'VHDXFILE', '\0\0\0\0\0\0\0\0', 'conectix', 'KDMV\x01\0\0\0']) {
    test(`rule 1: a file that begins with ${JSON.stringify(fileSignature)} is refused, and is no VHDX`, async () => {
      const image = buildImage({ fileSignature });
      await expectRefused(image, 'file-signature');
      expect(await isVhdx(image.source())).toBe(false);
      expect(await isVhdx(buildImage().source())).toBe(true);
    });
  }

  const creators: readonly (readonly [title: string, creator: string | Uint8Array, shown: string])[] = [
    ['nothing', '', ''],
    ['a text without a terminator in all of its 512 bytes', 'x'.repeat(256), 'x'.repeat(256)],
    ['a text and what an earlier text left behind it', 'd2v\0Microsoft', 'd2v'],
  ];
  for (const [title, creator, shown] of creators) {
    test(`rule 2: the creator may be ${title}`, async () => {
      const disk = await expectSound(buildImage({ creator }));
      expect(disk.info.creator).toBe(shown);
    });
  }

  test('rule 2: the creator may be no text at all', async () => {
    await expectSound(buildImage({ creator: new Uint8Array(512).fill(0xff) }));
    await expectSound(buildImage({ creator: utf16Bytes('\ud800half a character') }));
  });

  for (const size of [8, 64 * KiB, 192 * KiB, MiB - 1]) {
    test(`rule 3: a file of ${size} bytes is refused`, async () => {
      await expectRefused(buildImage({ fileSize: size }), 'file-too-small');
    });
  }

  test('rule 3: a file of no bytes, or of less than a signature, is refused', async () => {
    await expectRefused(new SparseFile(0), ['file-signature', 'file-too-small']);
    await expectRefused(new SparseFile(0).write(0, asciiBytes('vhdx')), ['file-signature', 'file-too-small']);
  });
});

describe('the two headers', () => {
  const copies = [1, 2] as const;
  /** Headers that differ in their data write GUID, so that one sees which of them was used. */
  const told = (first: Partial<HeaderFields>, second: Partial<HeaderFields>): ImageSpec => ({
    headers: [
      { dataWriteGuid: FIRST, ...first },
      { dataWriteGuid: SECOND, ...second },
    ],
  });
  const guidOf = { 1: FIRST, 2: SECOND } as const;

  for (const bad of copies) {
    const good = bad === 1 ? 2 : 1;
    const broken = (fields: Partial<HeaderFields>) => (bad === 1 ? told(fields, {}) : told({}, fields));

    test(`rule 4: header ${bad} without its signature is not used`, async () => {
      const disk = await expectWarned(buildImage(broken({ signature: 'haed' })), 'header-signature');
      expect(disk.info.header).toMatchObject({ copy: good, dataWriteGuid: guidOf[good] });
    });

    test(`rule 5: header ${bad} with a wrong checksum is not used`, async () => {
      const disk = await expectWarned(buildImage(broken({ checksum: 0x12345678 })), 'header-checksum');
      expect(disk.info.header).toMatchObject({ copy: good, dataWriteGuid: guidOf[good] });
    });

    test(`rule 5: the checksum of header ${bad} covers all of its 4096 bytes`, async () => {
      for (const at of [8, 79, 80, 4095]) {
        const image = buildImage(told({}, {}));
        await expectWarned(
          patch(image, (image.layout.headerOffsets[bad - 1] as number) + at, [0xe7]),
          'header-checksum',
        );
      }
    });
  }

  test('rule 6: without a valid header the file is refused', async () => {
    await expectRefused(buildImage({ headers: { checksum: 0 } }), 'header-none-valid');
    await expectRefused(buildImage({ headers: { signature: 'regi' } }), 'header-none-valid');
    await expectRefused(buildImage({ headers: [{ signature: '\0\0\0\0' }, { checksum: 1 }] }), 'header-none-valid');
  });

  const pairs: readonly (readonly [bigint, bigint])[] = [
    [0n, 1n],
    [1n, 0n],
    [9n, 10n],
    [0xffff_ffffn, 0x1_0000_0000n],
    [2n ** 53n + 1n, 2n ** 53n],
    [2n ** 63n - 1n, 2n ** 63n],
    [MAX_U64, 1n],
    [0n, MAX_U64],
  ];
  for (const [first, second] of pairs) {
    test(`rule 7: of sequence numbers ${first} and ${second} the higher is the current one's`, async () => {
      const image = buildImage(told({ sequenceNumber: first }, { sequenceNumber: second }));
      const disk = await expectSound(image);
      const copy = first > second ? 1 : 2;
      const sequenceNumber = String(copy === 1 ? first : second);
      expect(disk.info.header).toMatchObject({ copy, sequenceNumber, dataWriteGuid: guidOf[copy] });
    });
  }

  test('rule 8: two identical headers are as good as one, as Disk2vhd and makevhdx write them', async () => {
    await expectSound(buildImage({ headers: { sequenceNumber: 1n } }));
    const zeros = { sequenceNumber: 0n, fileWriteGuid: ZERO_GUID, dataWriteGuid: ZERO_GUID };
    await expectSound(buildImage({ headers: zeros }));
  });

  test('rule 8: two different headers with one sequence number are refused', async () => {
    await expectRefused(buildImage(told({ sequenceNumber: 5n }, { sequenceNumber: 5n })), 'header-sequence-tie');
    const different = [{ sequenceNumber: 5n }, { sequenceNumber: 5n, logGuid: LOG_GUID }] as const;
    await expectRefused(buildImage({ headers: different }), 'header-sequence-tie');
  });

  test('rule 9: what the older header says of a log does not count', async () => {
    const older = { logGuid: LOG_GUID, logVersion: 7, logLength: 4095, logOffset: 12345, sequenceNumber: 1n };
    const disk = await expectSound(buildImage({ headers: [older, {}] }));
    expect(disk.info.header.logGuid).toBe(ZERO_GUID);
    expect(disk.info.log).toMatchObject({ dirty: false, offset: MiB, length: MiB });
    await expectSound(buildImage({ headers: [{}, older] }));
  });

  test('rule 9: the older header does not make a dirty image clean', async () => {
    const image = buildImage({ headers: [{ sequenceNumber: 3n }, { sequenceNumber: 4n, logGuid: LOG_GUID }] });
    await expectRefused(image, 'log-no-sequence');
  });

  for (const version of [0, 2, 0x0101]) {
    test(`rule 10: version ${version} in the current header is refused, even if the older header has version 1`, async () => {
      await expectRefused(buildImage({ headers: [{}, { version }] }), 'header-version');
      await expectRefused(buildImage({ headers: { version } }), 'header-version');
      await expectRefused(
        buildImage({ headers: [{ version, sequenceNumber: 15n }, { checksum: 0 }] }),
        'header-version',
      );
    });
  }

  test('rule 18: reserved bytes of a header may hold anything', async () => {
    await expectSound(buildImage({ headers: { reserved: 0xa5 } }));
  });

  test('rule 19: the highest possible sequence number is no reason not to read', async () => {
    const disk = await expectSound(
      buildImage({ headers: [{ sequenceNumber: MAX_U64 - 1n }, { sequenceNumber: MAX_U64 }] }),
    );
    expect(disk.info.header.sequenceNumber).toBe('18446744073709551615');
  });
});

describe('the place of the log', () => {
  /** What is fatal where the log counts is a warning where nobody reads it. */
  const both = (
    rule: string,
    title: string,
    code: 'log-version' | 'log-offset' | 'log-length' | 'log-outside-file',
    spec: ImageSpec,
  ) => {
    test(`${rule}: ${title} is refused in a dirty image`, async () => {
      await expectRefused(dirty(spec), code);
    });
    test(`${rule}: ${title} is a warning in a clean image`, async () => {
      await expectWarned(buildImage(spec), code);
    });
  };

  both('rule 11', 'log version 1', 'log-version', { headers: { logVersion: 1 } });
  both('rule 12', 'a log offset that is no multiple of 1 MiB', 'log-offset', { headers: { logOffset: MiB + 4 * KiB } });
  both('rule 12', 'a log offset that no number can hold', 'log-offset', { headers: { logOffset: 2n ** 63n } });
  both('rule 13', 'a log length that is no multiple of 1 MiB', 'log-length', { headers: { logLength: MiB - 4 * KiB } });
  both('rule 15', 'a log behind the end of the file', 'log-outside-file', { headers: { logOffset: 64 * MiB } });
  both('rule 15', 'a log that ends behind the end of the file', 'log-outside-file', {
    blocks: {},
    headers: { logOffset: 4 * MiB, logLength: 3 * MiB },
    fileSize: 6 * MiB,
  });

  test('rule 12: a log in the header section is refused in a dirty image', async () => {
    await expectRefused(dirty({ headers: { logOffset: 0 } }), ['log-offset', 'log-overlap']);
  });

  test('rule 12: the offset of a log without length does not matter', async () => {
    await expectSound(buildImage({ headers: { logOffset: 12345, logLength: 0 } }));
  });

  test('rule 14: a dirty image without a log is refused', async () => {
    await expectRefused(dirty({ headers: { logLength: 0 } }), 'log-length');
  });

  for (const region of ['metadata', 'bat'] as const) {
    test(`rule 16: a log that lies on the ${region} region is refused, clean or not`, async () => {
      const { offset } = buildImage().layout[region];
      await expectRefused(buildImage({ headers: { logOffset: offset } }), 'log-overlap');
      const log = { headers: { logOffset: MiB, logLength: 3 * MiB } };
      await expectRefused(buildImage(log), 'log-overlap');
      await expectRefused(dirty(log), ['log-overlap', 'log-no-sequence']);
    });
  }

  test('rule 16: a log that lies on a region that nobody knows is refused', async () => {
    const unknown = { id: UNKNOWN_REGION, offset: MiB, length: MiB, flags: 0 };
    await expectRefused(buildImage({ regions: (plain) => [...plain, unknown] }), 'log-overlap');
    await expectRefused(dirty({ regions: (plain) => [...plain, unknown] }), 'log-overlap');
  });

  test('rule 17: a log of nearly 4 GiB that the file does not have is refused before it is read', async () => {
    const image = dirty({ headers: { logLength: 4095 * MiB } });
    const source = image.source();
    await expect(openVhdx(source)).rejects.toMatchObject({ code: 'log-outside-file' });
    expect(source.bytesRead).toBeLessThan(MiB);
  });

  test('rule 17: a long log is replayed without being held in memory', async () => {
    const image = buildImage({
      places: { log: { length: 256 * MiB } },
      blocks: { 1: { state: STATE.fullyPresent, data: 7 } },
    });
    expect(image.size).toBeLessThan(GiB);
    const bat = image.layout.bat.offset;
    const restored = { fileOffset: bat, bytes: image.read(bat, 4 * KiB) };
    const lost = patch(image, bat, new Uint8Array(4 * KiB));
    writeLog(lost, { start: 200 * MiB, entries: [{ descriptors: [restored] }] });
    const source = lost.source();
    const disk = await openVhdx(source);
    await expectContent(disk, modelOf(image));
    expect(Math.max(...source.reads.map(({ length }) => length))).toBeLessThanOrEqual(4 * MiB);
  });
});
