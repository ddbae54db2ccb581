// Rules 87 to 93 and 99: which entries of a log make up its active sequence, and what the newest of them demands.
import { describe, expect, test } from 'vitest';
import { checkVhdx, openVhdx } from '../../src/index.js';
import type { BuiltImage } from '../support/build-image.js';
import { LOG_GUID, type LogEntrySpec, writeLog } from '../support/build-log.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { expectRefused, expectSound } from '../support/expect-opening.js';
import { mark, markable, marksOf, placeOf, withLog } from '../support/log-marks.js';

const SECTOR = 4 * KiB;
/** Bytes of an entry that makes one mark. */
const ENTRY = 2 * SECTOR;
const OTHER_GUID = '11112222-3333-4444-9555-666677778888';
const image = markable();

/** An entry that makes one mark. */
const marking = (place: number, value: number, rest: LogEntrySpec = {}): LogEntrySpec => ({
  descriptors: [mark(image, place, value)],
  ...rest,
});

/** Entries one behind the other, the first with number 1, of which entry `i` makes mark `i + 1` in sector `i`. */
const row = (count: number, change: Record<number, LogEntrySpec> = {}): LogEntrySpec[] =>
  Array.from({ length: count }, (_, i) => marking(i, i + 1, change[i]));

describe('what belongs together', () => {
  test('rule 87: entries with consecutive numbers are one sequence', async () => {
    expect(await marksOf(withLog(image, row(5)), 5)).toEqual([1, 2, 3, 4, 5]);
  });

  for (const sequenceNumber of [0x100n, 4n, 2n, 1n]) {
    test(`rule 87: a gap ends the sequence, between the first two entries as well: ${sequenceNumber} behind 2`, async () => {
      const entries = [marking(0, 1, { sequenceNumber: 2n }), marking(1, 2, { sequenceNumber })];
      expect(await marksOf(withLog(image, entries), 2)).toEqual([1, 0]);
    });
  }

  test('rule 87: a gap later on ends the sequence', async () => {
    for (const sequenceNumber of [3n, 5n, 99n]) {
      expect(await marksOf(withLog(image, row(4, { 3: { sequenceNumber } })), 4)).toEqual([1, 2, 3, 0]);
    }
  });

  test('rule 87: the next entry begins where the one before it ends', async () => {
    const entries = [...row(2), marking(2, 3, { position: 2 * ENTRY + SECTOR })];
    expect(await marksOf(withLog(image, entries), 3)).toEqual([1, 2, 0]);
  });

  test('an invalid entry ends the sequence, and what stands behind it does not count', async () => {
    for (const bad of [0, 1, 2, 3]) {
      const entries = row(4, { [bad]: { checksum: 1 } });
      if (bad === 0) await expectRefused(withLog(image, entries), 'log-no-sequence');
      else
        expect(await marksOf(withLog(image, entries), 4)).toEqual([1, 2, 3, 4].map((mark) => (mark > bad ? 0 : mark)));
    }
  });

  test('a last entry of which not everything reached the disk does not count', async () => {
    for (const tornAt of [0, 512, 64, SECTOR, ENTRY - 4, ENTRY - 512]) {
      expect(await marksOf(withLog(image, row(3, { 2: { tornAt } })), 3)).toEqual([1, 2, 0]);
    }
  });

  test('entries of another session count for nothing, whatever their numbers and wherever they stand', async () => {
    const dirty = image.clone();
    const harm = Array.from({ length: 120 }, () => marking(0, 99));
    writeLog(dirty, { logGuid: OTHER_GUID, firstSequence: 2n ** 60n, entries: harm });
    writeLog(dirty, { start: 31 * SECTOR, entries: row(3) });
    expect(await marksOf(dirty, 3)).toEqual([1, 2, 3]);
  });

  test('what an earlier lap of the ring left behind the newest entry counts for nothing', async () => {
    const dirty = image.clone();
    const tail = 20 * SECTOR;
    // 128 entries filled the ring; three more of two sectors went over the oldest of them.
    writeLog(dirty, { entries: Array.from({ length: 128 }, (_, i) => marking(9, 1 + (i % 200))) });
    writeLog(dirty, { start: tail, firstSequence: 129n, entries: row(3, { 0: { tail }, 1: { tail }, 2: { tail } }) });
    expect(await marksOf(dirty, 10)).toEqual([1, 2, 3, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe('the tail', () => {
  test('rule 88: a sequence whose newest entry has its tail outside of it is not valid', async () => {
    const outside = { tail: 200 * SECTOR };
    await expectRefused(withLog(image, row(3, { 2: outside })), 'log-no-sequence');
    await expectRefused(withLog(image, [marking(0, 1, { tail: ENTRY })]), 'log-no-sequence');
  });

  test('rule 88: a tail inside of an entry is not on an entry', async () => {
    await expectRefused(withLog(image, row(3, { 2: { tail: SECTOR } })), 'log-no-sequence');
  });

  test('rule 88: only the tail of the newest entry counts', async () => {
    const outside = { tail: 200 * SECTOR };
    expect(await marksOf(withLog(image, row(3, { 0: outside, 1: outside, 2: { tail: 0 } })), 3)).toEqual([1, 2, 3]);
  });

  test('rule 88: where the newest sequence is not valid, an older one that is counts', async () => {
    const dirty = withLog(image, row(2), { firstSequence: 5n });
    writeLog(dirty, { start: 100 * SECTOR, firstSequence: 50n, entries: [marking(0, 9, { tail: 0 })] });
    expect(await marksOf(dirty, 2)).toEqual([1, 2]);
  });

  test('rule 90: what stands before the tail is not applied again', async () => {
    for (const first of [0, 1, 2, 3]) {
      const entries = row(4, { 3: { tail: first * ENTRY } });
      const expected = [1, 2, 3, 4].map((value) => (value > first ? value : 0));
      expect(await marksOf(withLog(image, entries), 4)).toEqual(expected);
    }
  });

  test('rule 90: an entry before the tail does not undo what was written after it', async () => {
    const written = image.clone();
    const place = placeOf(image, 0);
    written.write(place, new Uint8Array(SECTOR).fill(7));
    const zero: LogEntrySpec = { descriptors: [{ fileOffset: place, zeroLength: SECTOR }] };
    expect(await marksOf(withLog(written, [zero, marking(1, 2, { tail: SECTOR })]), 2)).toEqual([7, 2]);
  });

  test('rule 90: the tail may lie before the end of the ring and the newest entry behind its start', async () => {
    const start = MiB - ENTRY - SECTOR;
    const entries = row(4, { 3: { tail: start + ENTRY } });
    expect(await marksOf(withLog(image, entries, { start }), 4)).toEqual([0, 2, 3, 4]);
  });
});

describe('several sequences', () => {
  test('rule 89: the one with the highest number counts, wherever it stands and however short it is', async () => {
    for (const [low, high] of [
      [0, 64 * SECTOR],
      [64 * SECTOR, 0],
      [250 * SECTOR, 100 * SECTOR],
    ] as const) {
      const dirty = image.clone();
      writeLog(dirty, { start: low, firstSequence: 10n, entries: row(4) });
      writeLog(dirty, { start: high, firstSequence: 14n, entries: [marking(0, 8)] });
      expect(await marksOf(dirty, 4)).toEqual([8, 0, 0, 0]);
    }
  });

  test('rule 89: numbers are compared without a sign, in all of their bits', async () => {
    for (const [older, newer] of [
      [2n ** 63n - 9n, 2n ** 63n + 1n],
      [5n, 2n ** 64n - 1n],
      [2n ** 62n + 1n, 2n ** 62n + 2n],
    ] as const) {
      const dirty = image.clone();
      writeLog(dirty, { start: 64 * SECTOR, firstSequence: newer, entries: [marking(1, 2)] });
      writeLog(dirty, { start: 128 * SECTOR, firstSequence: older, entries: [marking(0, 1)] });
      writeLog(dirty, { start: 8 * SECTOR, firstSequence: older, entries: [marking(0, 1)] });
      expect(await marksOf(dirty, 2)).toEqual([0, 2]);
    }
  });

  for (const start of [0, SECTOR, 100 * SECTOR]) {
    test(`rule 89: a sequence that fills the ring from ${start} on to the last sector is found once`, async () => {
      const entries = Array.from({ length: 128 }, (_, i) => marking(i, i + 1));
      const dirty = withLog(image, entries, { start });
      expect(await marksOf(dirty, 128)).toEqual(entries.map((_, i) => i + 1));
      const { info } = await expectSound(dirty, {}, whole(128));
      expect(info.log.replay).toMatchObject({ entries: 128, firstSequenceNumber: '1', lastSequenceNumber: '128' });
    });
  }

  test('rule 89: a sequence may end with the highest number there is, and fill the ring with one entry', async () => {
    const descriptors = Array.from({ length: 254 }, () => mark(image, 0, 5));
    expect(await marksOf(withLog(image, [{ descriptors, sequenceNumber: 2n ** 64n - 1n }]), 2)).toEqual([5, 0]);
  });
});

/** A disk whose first sectors hold the marks 1, 2, 3 and so on. */
function whole(count: number) {
  const size = 8 * MiB;
  const bytes = new Uint8Array(size);
  for (let i = 0; i < count; i++) bytes.fill(i + 1, i * SECTOR, (i + 1) * SECTOR);
  return { size, expected: (offset: number, length: number) => bytes.slice(offset, offset + length) };
}

describe('a log without a sequence', () => {
  const withContent = (content: Uint8Array): BuiltImage => {
    const dirty = markable({ logContent: content });
    writeLog(dirty, { entries: [], logGuid: LOG_GUID });
    return dirty;
  };

  test('rule 91: an empty log of a dirty image is refused', async () => {
    const error = await expectRefused(withContent(new Uint8Array(0)), 'log-no-sequence');
    expect(error.message).toContain(LOG_GUID);
    expect(error.offset).toBe(MiB);
  });

  test('rule 91: so is one that holds garbage, and one that holds only entries of others', async () => {
    await expectRefused(withContent(new Uint8Array(MiB).fill(0xff)), 'log-no-sequence');
    const garbage = new Uint8Array(MiB);
    for (let at = 0; at < MiB; at += SECTOR) garbage.set([0x6c, 0x6f, 0x67, 0x65, 1, 2, 3, 4, 0, 16, 0, 0], at);
    await expectRefused(withContent(garbage), 'log-no-sequence');
    await expectRefused(withLog(image, row(3), { logGuid: OTHER_GUID, headerLogGuid: LOG_GUID }), 'log-no-sequence');
  });

  test('rule 91: a clean image is not refused for what its log holds', async () => {
    const clean = withLog(image, row(3), { headerLogGuid: null });
    await expectSound(clean);
    expect(await marksOf(clean, 3)).toEqual([0, 0, 0]);
  });

  test('rule 92: a sequence without descriptors is valid, and changes nothing', async () => {
    const dirty = withLog(image, [{}, {}]);
    const disk = await expectSound(dirty);
    expect(disk.info.log).toMatchObject({ dirty: true, replay: { entries: 2, dataSectors: 0, zeroedBytes: 0 } });
  });

  test('rule 92: an entry without descriptors may stand between others', async () => {
    expect(await marksOf(withLog(image, [marking(0, 1), {}, marking(1, 2)]), 2)).toEqual([1, 2]);
  });
});

describe('a file that was cut off', () => {
  test('rule 93: a file that is shorter than it was when its log was written is refused', async () => {
    const error = await expectRefused(
      withLog(image, row(2, { 1: { flushedFileOffset: image.size + MiB } })),
      'log-truncated-file',
    );
    expect(error.message).toContain(`0x${(image.size + MiB).toString(16)}`);
    expect(error.message).toContain(`0x${image.size.toString(16)}`);
    for (const flushedFileOffset of [2n ** 53n, 2n ** 64n - BigInt(MiB)]) {
      await expectRefused(withLog(image, row(2, { 1: { flushedFileOffset } })), 'log-truncated-file');
    }
  });

  test('rule 93: one that is as long, or longer, is not', async () => {
    for (const flushedFileOffset of [image.size, image.size - MiB, MiB]) {
      expect(await marksOf(withLog(image, row(2, { 1: { flushedFileOffset } })), 2)).toEqual([1, 2]);
    }
  });

  test('rule 93: 0 says nothing about the length', async () => {
    await expectSound(withLog(image, [{ flushedFileOffset: 0 }]));
  });

  test('rule 93: only what the newest entry says counts', async () => {
    expect(await marksOf(withLog(image, row(2, { 0: { flushedFileOffset: image.size + MiB } })), 2)).toEqual([1, 2]);
  });
});

describe('all or nothing', () => {
  // The first entry makes the second region table useless; the last one is what cannot be done.
  const tables = image.layout.regionTableOffsets;
  const spoiling: LogEntrySpec = {
    descriptors: tables.map((fileOffset) => ({ fileOffset, bytes: new Uint8Array(SECTOR).fill(0xee) })),
  };
  const impossible: LogEntrySpec = { descriptors: [{ fileOffset: 0, bytes: new Uint8Array(SECTOR) }] };

  test('rule 99: where one entry cannot be applied, none is', async () => {
    expect((await checkVhdx(withLog(image, [spoiling]).source())).findings.map(({ code }) => code)).toContain(
      'region-table-none-valid',
    );
    const dirty = withLog(image, [spoiling, impossible]);
    await expectRefused(dirty, 'log-target');
    const { status, findings } = await checkVhdx(dirty.source());
    expect(status).toBe('unreadable');
    expect(findings.map(({ code }) => code)).toEqual(['log-target', 'salvage-possible']);
  });

  test('rule 99: nothing is said to have been replayed', async () => {
    await expect(openVhdx(withLog(image, [...row(2), impossible]).source())).rejects.toMatchObject({
      code: 'log-target',
    });
    const { info, findings } = await checkVhdx(withLog(image, [...row(2), impossible]).source());
    expect(info).toBeUndefined();
    expect(findings.map(({ code }) => code)).not.toContain('log-replayed');
  });
});
