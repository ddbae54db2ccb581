// Rules 72 to 86: which entries of a log are valid. The second of two entries is made wrong in one way, with a right
// checksum: the sequence must end before it, and the image must open with what the first entry says.
import { describe, expect, test } from 'vitest';
import type { BuiltImage } from '../support/build-image.js';
import { LOG_GUID, type LogEntrySpec, type LogSpec, writeLog } from '../support/build-log.js';
import { KiB, MiB, u32Bytes } from '../support/encode-primitives.js';
import { expectRefused, expectSound } from '../support/expect-opening.js';
import { mark, markable, marksOf, unmark, withLog } from '../support/log-marks.js';

const SECTOR = 4 * KiB;
const image = markable();

/** Marks two sectors by two entries, of which the second is changed. */
const second = (change: LogEntrySpec, rest: Omit<LogSpec, 'entries'> = {}): BuiltImage =>
  withLog(
    image,
    [{ descriptors: [mark(image, 0, 1)] }, { descriptors: [mark(image, 1, 2), mark(image, 2, 3)], ...change }],
    rest,
  );

const both = [1, 2, 3];
const firstOnly = [1, 0, 0];

/** Sets a u32 field of an entry before its checksum is computed. */
const field =
  (offset: number, value: number): NonNullable<LogEntrySpec['edit']> =>
  (_, view) =>
    view.setUint32(offset, value, true);

test('two valid entries are applied, one after the other', async () => {
  expect(await marksOf(second({}), 3)).toEqual(both);
  expect(await marksOf(second({ descriptors: [mark(image, 0, 4), unmark(image, 1)] }), 3)).toEqual([4, 0, 0]);
});

describe('where entries stand', () => {
  for (const start of [SECTOR, 17 * SECTOR, 251 * SECTOR]) {
    test(`rule 72: an entry may begin at any multiple of 4096, such as ${start}`, async () => {
      expect(await marksOf(second({}, { start }), 3)).toEqual(both);
    });
  }

  test('rule 72: an entry that does not begin at a multiple of 4096 does not count', async () => {
    expect(await marksOf(second({ position: 2 * SECTOR + 512 }), 3)).toEqual(firstOnly);
  });

  // The first entry has two sectors, the second three: header and descriptors, and two of data.
  for (const [title, start] of [
    ['between two entries', MiB - 2 * SECTOR],
    ['between the descriptors and the data', MiB - 3 * SECTOR],
    ['between two data sectors', MiB - 4 * SECTOR],
  ] as const) {
    test(`rule 72: the end of the ring may lie ${title}`, async () => {
      expect(await marksOf(second({}, { start }), 3)).toEqual(both);
    });
  }

  for (const back of [1, 2, 3, 4]) {
    test(`rule 72: the end of the ring may lie ${back} sectors behind the start of an entry with 300 descriptors`, async () => {
      const zeros = Array.from({ length: 298 }, (_, i) => unmark(image, 3 + (i % 50)));
      const descriptors = [mark(image, 1, 2), ...zeros, mark(image, 2, 3)];
      const start = MiB - (2 + back) * SECTOR;
      expect(await marksOf(second({ descriptors }, { start }), 3)).toEqual(both);
    });
  }
});

describe('entry headers', () => {
  test('rule 73: an entry that does not begin with "loge" does not count', async () => {
    expect(await marksOf(second({ signature: 'logf' }), 3)).toEqual(firstOnly);
  });

  for (const [title, entryLength] of [
    ['0', 0],
    ['no multiple of 4096', 3 * SECTOR + 512],
    ['longer than the log', MiB + 3 * SECTOR],
    ['4 GiB - 4 KiB', 0xfffff000],
  ] as const) {
    test(`rule 74: an entry whose length is ${title} does not count`, async () => {
      expect(await marksOf(second({ entryLength }), 3)).toEqual(firstOnly);
    });
  }

  test('rule 74: one entry may fill the whole ring', async () => {
    // 64 bytes of header and 254 descriptors fill two sectors, 254 data sectors follow: 256 in all.
    const descriptors = Array.from({ length: 254 }, (_, place) => mark(image, place, (place % 255) + 1));
    for (const start of [0, 5 * SECTOR, MiB - SECTOR]) {
      const full = withLog(image, [{ descriptors }], { start });
      expect(await marksOf(full, 254)).toEqual(descriptors.map((_, place) => (place % 255) + 1));
    }
  });

  test('rule 75: an entry with a wrong checksum does not count', async () => {
    expect(await marksOf(second({ checksum: 0x12345678 }), 3)).toEqual(firstOnly);
  });

  test('rule 75: the checksum covers every sector of an entry, the unused parts too', async () => {
    const [, entry] = writeLog(image.clone(), {
      entries: [{ descriptors: [mark(image, 0, 1)] }, { descriptors: [mark(image, 1, 2), mark(image, 2, 3)] }],
    });
    const { position, bytes } = entry as { position: number; bytes: Uint8Array };
    // In turn: the checksum, a file offset that the header tells, behind the last descriptor, and in each data sector.
    for (const at of [4, 56, 64 + 2 * 32, 4095, SECTOR + 8, 2 * SECTOR - 5, 2 * SECTOR + 8, 3 * SECTOR - 5]) {
      const flipped = second({});
      const place = flipped.layout.log.offset + position + at;
      flipped.write(place, Uint8Array.of((bytes[at] as number) ^ 0x40));
      expect(await marksOf(flipped, 3), `byte ${at}`).toEqual(firstOnly);
    }
  });

  test('rule 76: an entry whose sequence number is 0 does not count', async () => {
    const only = withLog(image, [{ descriptors: [mark(image, 0, 1)], sequenceNumber: 0n }]);
    await expectRefused(only, 'log-no-sequence');
    const wrapped = withLog(image, [
      { sequenceNumber: 2n ** 64n - 1n, descriptors: [mark(image, 0, 1)] },
      { sequenceNumber: 0n, descriptors: [mark(image, 1, 2)] },
    ]);
    expect(await marksOf(wrapped, 3)).toEqual(firstOnly);
  });

  for (const firstSequence of [1n, 2n ** 32n - 1n, 2n ** 53n, 0x3ca9_3a92_0d19_0a97n, 2n ** 63n - 1n, 2n ** 64n - 2n]) {
    test(`rule 76: sequence numbers have 64 bits: a sequence that begins with ${firstSequence}`, async () => {
      expect(await marksOf(second({}, { firstSequence }), 3)).toEqual(both);
    });
  }

  test('rule 77: an entry with another log GUID does not count', async () => {
    const logGuid = LOG_GUID.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
    expect(await marksOf(second({ logGuid }), 3)).toEqual(firstOnly);
    await expectRefused(
      withLog(image, [{ descriptors: [mark(image, 0, 1)] }], { headerLogGuid: logGuid }),
      'log-no-sequence',
    );
  });

  for (const tail of [512, SECTOR + 1, MiB, MiB + SECTOR, 0xfffff000]) {
    test(`rule 78: an entry whose tail is ${tail} does not count`, async () => {
      expect(await marksOf(second({ tail }), 3)).toEqual(firstOnly);
    });
  }

  for (const [title, descriptorCount] of [
    ['one more than its first sector holds', 127],
    ['so many that their length wraps around 32 bits', 0x08000001],
    ['the highest number there is', 0xffffffff],
  ] as const) {
    test(`rule 79: an entry that tells of more descriptors than it holds, ${title}, does not count`, async () => {
      const descriptors = Array.from({ length: 126 }, (_, place) => unmark(image, place));
      expect(await marksOf(second({ descriptors, descriptorCount }), 3)).toEqual(firstOnly);
    });
  }

  test('rule 80: an entry with one sector more than its descriptors need does not count', async () => {
    const sequence = 2;
    // The sector is a good data sector; only that no descriptor wants it is wrong.
    const edit: LogEntrySpec['edit'] = (bytes) => {
      bytes.set(bytes.subarray(SECTOR, 2 * SECTOR), 3 * SECTOR);
    };
    expect(await marksOf(second({ extraSectors: 1, edit }, { firstSequence: BigInt(sequence - 1) }), 3)).toEqual(
      firstOnly,
    );
  });

  test('rule 80: an entry with one sector fewer than its descriptors need does not count', async () => {
    // The third data sector stands behind the entry, as if it belonged to it.
    const fourth = mark(image, 3, 4);
    const [, entry] = writeLog(image.clone(), {
      entries: [{ descriptors: [mark(image, 0, 1)] }, { descriptors: [mark(image, 1, 2), mark(image, 2, 3), fourth] }],
    });
    const whole = (entry as { bytes: Uint8Array }).bytes;
    const short = second({
      edit: (bytes) => {
        bytes.set(whole.subarray(64, 64 + 3 * 32), 64);
        bytes.set(u32Bytes(3), 24);
      },
    });
    short.write(short.layout.log.offset + 5 * SECTOR, whole.subarray(3 * SECTOR));
    expect(await marksOf(short, 4)).toEqual([...firstOnly, 0]);
  });
});

describe('descriptors', () => {
  for (const at of [0, 1]) {
    test(`rule 81: an entry whose descriptor ${at} has no signature does not count`, async () => {
      const bad = [mark(image, 1, 2), mark(image, 2, 3)].map((one, i) =>
        i === at ? { ...one, signature: 'dash' } : one,
      );
      expect(await marksOf(second({ descriptors: bad }), 3)).toEqual(firstOnly);
    });
  }

  test('rule 81: a descriptor with another sequence number, in either half, makes its entry invalid', async () => {
    for (const sequenceNumber of [1n, 3n, 2n + 2n ** 32n, 2n ** 63n]) {
      const bad = [mark(image, 1, 2), { ...mark(image, 2, 3), sequenceNumber }];
      expect(await marksOf(second({ descriptors: bad }), 3)).toEqual(firstOnly);
      expect(await marksOf(second({ descriptors: [{ ...unmark(image, 0), sequenceNumber }] }), 3)).toEqual(firstOnly);
    }
  });

  test('rule 81: a bad descriptor in the second sector of descriptors makes its entry invalid', async () => {
    const many = Array.from({ length: 130 }, () => unmark(image, 0));
    expect(await marksOf(second({ descriptors: many }), 3)).toEqual([0, 0, 0]);
    for (const bad of [{ signature: 'none' }, { sequenceNumber: 9n }]) {
      const descriptors = many.map((one, i) => (i === 129 ? { ...one, ...bad } : one));
      expect(await marksOf(second({ descriptors }), 3)).toEqual(firstOnly);
    }
  });

  const target = Number(mark(image, 1, 2).fileOffset);
  for (const [title, descriptor] of [
    ['data for an offset that is no multiple of 4096', { ...mark(image, 1, 2), fileOffset: target + 512 }],
    ['zeros for an offset that is no multiple of 4096', { fileOffset: target + 512, zeroLength: SECTOR }],
    ['zeros of a length that is no multiple of 4096', { fileOffset: target - SECTOR, zeroLength: 512 }],
    ['data at the end of 64 bits', { ...mark(image, 1, 2), fileOffset: 2n ** 64n - 4096n }],
    ['zeros whose end lies past 64 bits', { fileOffset: target, zeroLength: 2n ** 64n - 4096n }],
    [
      'zeros whose end wraps around 64 bits to a place in the file',
      { fileOffset: 2n ** 64n - 4096n, zeroLength: 8 * MiB },
    ],
  ] as const) {
    test(`rule 82: an entry that holds ${title} does not count`, async () => {
      expect(await marksOf(second({ descriptors: [mark(image, 2, 3), descriptor] }), 3)).toEqual(firstOnly);
    });
  }
});

describe('data sectors', () => {
  for (const [title, sector] of [
    ['no signature', { signature: 'date' }],
    ['another upper half of the sequence number', { sequenceHigh: 1 }],
    ['another lower half of the sequence number', { sequenceLow: 3 }],
  ] as const) {
    test(`rule 85: an entry of which a data sector has ${title} does not count`, async () => {
      for (const at of [0, 1]) {
        const descriptors = [mark(image, 1, 2), mark(image, 2, 3)].map((one, i) =>
          i === at ? { ...one, sector } : one,
        );
        expect(await marksOf(second({ descriptors }), 3)).toEqual(firstOnly);
      }
    });
  }

  test('rule 85: the first eight and the last four bytes of a sector stand in its descriptor', async () => {
    const bytes = Uint8Array.from({ length: SECTOR }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
    const dirty = second({ descriptors: [{ ...mark(image, 1, 0), bytes }] });
    const disk = await expectSound(
      dirty,
      {},
      {
        size: Number(dirty.spec.virtualSize),
        expected: (offset, length) => {
          const block = new Uint8Array(8 * MiB);
          block.fill(1, 0, SECTOR).set(bytes, SECTOR);
          return block.slice(offset, offset + length);
        },
      },
    );
    // Any part of the sector, whichever of its three pieces it cuts through.
    for (const [from, to] of [
      [0, 8],
      [0, 1],
      [3, 5],
      [7, 9],
      [8, 4092],
      [4091, 4093],
      [4092, 4096],
      [4095, 4096],
      [2, 4094],
    ] as const) {
      expect(await disk.read(SECTOR + from, to - from)).toEqual(bytes.slice(from, to));
    }
    expect(await disk.read(SECTOR - 1, SECTOR + 2)).toEqual(Uint8Array.of(1, ...bytes, 0));
  });
});

test('rule 86: reserved fields of an entry and of a zero descriptor are ignored', async () => {
  const descriptors = [mark(image, 1, 2), { ...unmark(image, 0), reserved: 0xffffffff }];
  const dirty = second({ reserved: 0xffffffff, descriptors });
  expect(await marksOf(dirty, 3)).toEqual([0, 2, 0]);
  expect(await marksOf(second({ edit: field(28, 1) }), 3)).toEqual(both);
  expect(await marksOf(dirty, 3, { strict: true })).toEqual([0, 2, 0]);
});
