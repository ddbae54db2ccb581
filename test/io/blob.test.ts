import { describe, expect, test } from 'vitest';
import { blobSource } from '../../src/io/blob.js';
import type { ArrivingSource } from '../../src/io/sequential-reads.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { rejection, sourceBytes, turn, wrongAt } from '../support/scripted-source.js';

const KiB = 1024;
const MiB = 1024 * KiB;

const blob = new Blob([sourceBytes(0, 10 * MiB + 123) as Uint8Array<ArrayBuffer>]);

/** A blob that counts its slices and fails as it is told. */
class TroubledBlob extends Blob {
  slices = 0;
  trouble: unknown;
  missing = 0;
  pending: Promise<void> | undefined;

  override slice(start?: number, end?: number): Blob {
    this.slices++;
    const part = super.slice(start, (end ?? this.size) - this.missing);
    const whole = part.arrayBuffer.bind(part);
    part.arrayBuffer = async () => {
      await this.pending;
      if (this.trouble !== undefined) throw this.trouble;
      return whole();
    };
    return part;
  }
}

describe('a source over a blob', () => {
  test.each([
    [0, 1],
    [65_535, 2],
    [10 * MiB, 123],
    [1, 1 * MiB],
    [3, 9 * MiB],
    [0, 10 * MiB + 123],
  ])('reads at %d, %d bytes', async (offset, length) => {
    const source = blobSource(blob);
    const target = new Uint8Array(length);
    await source.readInto(target, offset);
    expect(source.size).toBe(10 * MiB + 123);
    expect(wrongAt(target, offset)).toBe(-1);
  });

  test('has the name of a file', () => {
    expect(blobSource(new File([], 'disk.vhdx')).name).toBe('disk.vhdx');
    expect(blobSource(blob).name).toBeUndefined();
  });

  test('takes no more than 4 MiB at a time', async () => {
    const sizes: number[] = [];
    class Counted extends Blob {
      override slice(start = 0, end = 0): Blob {
        sizes.push(end - start);
        return super.slice(start, end);
      }
    }
    await blobSource(new Counted([blob])).readInto(new Uint8Array(10 * MiB), 0);
    expect(sizes).toEqual([4 * MiB, 4 * MiB, 2 * MiB]);
  });

  test('takes few slices for many small reads in sequence', async () => {
    const troubled = new TroubledBlob([blob]);
    const source = blobSource(troubled);
    const target = new Uint8Array(4 * KiB);
    for (let offset = 0; offset + target.length <= source.size; offset += target.length) {
      await source.readInto(target, offset);
      if (offset % MiB === 0) expect(wrongAt(target, offset)).toBe(-1);
    }
    expect(troubled.slices).toBeLessThan(30); // for 2560 reads
  });

  test('takes long slices for a long sequence, the next while one is used, and each once', async () => {
    const large = new Blob([blob, blob, blob, blob]); // 40 MiB and a bit
    const taken: { readonly start: number; readonly length: number }[] = [];
    let underWay = 0;
    let most = 0;
    class Watched extends Blob {
      override slice(start = 0, end = 0): Blob {
        taken.push({ start, length: end - start });
        const part = super.slice(start, end);
        const arrayBuffer = part.arrayBuffer.bind(part);
        part.arrayBuffer = async () => {
          underWay += 1;
          most = Math.max(most, underWay);
          return arrayBuffer().finally(() => {
            underWay -= 1;
          });
        };
        return part;
      }
    }
    const source = blobSource(new Watched([large]));
    const whole = new Uint8Array(await large.arrayBuffer());
    const target = new Uint8Array(MiB);
    for (let offset = 0; offset + MiB <= source.size; offset += MiB) {
      await source.readInto(target, offset);
      expectSameBytes(target, whole.subarray(offset, offset + MiB));
    }
    const long = taken.filter(({ length }) => length === 8 * MiB);
    expect(long.length).toBeGreaterThanOrEqual(3);
    expect(new Set(long.map(({ start }) => start)).size).toBe(long.length);
    expect(most).toBe(2);
    await source.close?.();
  });

  test.each(['NotReadableError', 'NotFoundError'])(
    'says that the file was changed or removed when the engine says %s',
    async (name) => {
      const troubled = new TroubledBlob([blob]);
      troubled.trouble = new DOMException('The requested file could not be read', name);
      const error = await rejection(blobSource(troubled).readInto(new Uint8Array(10), 0));
      expect(error).toMatchObject({
        code: 'source-changed',
        message: 'the file was changed or removed since it was chosen; choose it again',
        offset: 0,
        cause: troubled.trouble,
      });
    },
  );

  test('hands on what else goes wrong, with its cause', async () => {
    const troubled = new TroubledBlob([blob]);
    troubled.trouble = new DOMException('no', 'SecurityError');
    const error = await rejection(blobSource(troubled).readInto(new Uint8Array(10), 0));
    expect(error).toMatchObject({ code: 'read-failed', cause: troubled.trouble });
  });

  test('reads again after a failure that is over', async () => {
    const troubled = new TroubledBlob([blob]);
    const source = blobSource(troubled);
    const target = new Uint8Array(10);
    troubled.trouble = new DOMException('not now', 'NotReadableError');
    await rejection(source.readInto(target, 50));
    troubled.trouble = undefined;
    await source.readInto(target, 50);
    expect(wrongAt(target, 50)).toBe(-1);
  });

  test('never takes a slice that is too short for one that ends with zeros', async () => {
    const troubled = new TroubledBlob([blob]);
    troubled.missing = 1;
    const error = await rejection(blobSource(troubled).readInto(new Uint8Array(10), 0));
    expect(error).toMatchObject({ code: 'short-read', message: 'the file ended 1 bytes early' });
  });

  test('rejects at once when it is aborted, and leaves the target alone', async () => {
    for (const length of [10, 9 * MiB]) {
      const troubled = new TroubledBlob([blob]);
      let goOn = () => {};
      troubled.pending = new Promise((resolve) => {
        goOn = resolve;
      });
      const controller = new AbortController();
      const target = new Uint8Array(length);
      const reading = blobSource(troubled).readInto(target, 0, { signal: controller.signal });
      const reason = new Error('enough');
      controller.abort(reason);
      expect(await rejection(reading)).toBe(reason);
      target.fill(0xee);
      goOn();
      await turn();
      await turn();
      expect(target.every((byte) => byte === 0xee)).toBe(true);
    }
  });

  test('refuses what is outside, and reads after it was closed', async () => {
    const source = blobSource(blob);
    expect(await rejection(source.readInto(new Uint8Array(1), blob.size))).toBeInstanceOf(RangeError);
    await source.close?.();
    expect(await rejection(source.readInto(new Uint8Array(1), 0))).toMatchObject({ code: 'closed' });
  });
});

describe('the bytes of a blob as they arrive', () => {
  const arriving = (source: ArrivingSource, offset: number, length: number, signal?: AbortSignal) => {
    const chunks = source.arriving?.(offset, length, signal);
    if (!chunks) throw new Error('its bytes do not arrive');
    return chunks;
  };
  const large = new Blob([blob, blob, blob]); // 30 MiB and a bit

  test.each([
    [0, 1],
    [10 * MiB, 123],
    [3, 9 * MiB],
    [0, 10 * MiB + 123],
  ])('at %d, %d bytes, come in order, each chunk in memory of its own', async (offset, length) => {
    const buffers = new Set<ArrayBufferLike>();
    let at = offset;
    for await (const chunk of arriving(blobSource(blob), offset, length)) {
      expect(chunk.length).toBeLessThanOrEqual(4 * MiB);
      expect(wrongAt(chunk, at)).toBe(-1);
      buffers.add(chunk.buffer);
      at += chunk.length;
    }
    expect(at).toBe(offset + length);
    expect(buffers.size).toBe(Math.ceil(length / (4 * MiB)));
  });

  test('are asked for four chunks at a time, and not before the first is wanted', async () => {
    const troubled = new TroubledBlob([large]);
    const chunks = arriving(blobSource(troubled), 0, large.size);
    expect(troubled.slices).toBe(0);
    for (const [slices, last] of [[4], [5], [6], [7], [8], [8], [8, true]] as const) {
      await chunks.next();
      expect(troubled.slices).toBe(slices);
      if (last) await chunks.return();
    }
  });

  test('that cannot be read are an error in their turn, after those before them', async () => {
    class Fails extends TroubledBlob {
      override slice(start = 0, end = 0): Blob {
        const part = super.slice(start, end);
        if (start === 8 * MiB) part.arrayBuffer = () => Promise.reject(new DOMException('gone', 'NotReadableError'));
        return part;
      }
    }
    const taken: number[] = [];
    const take = async () => {
      for await (const { length } of arriving(blobSource(new Fails([large])), 0, large.size)) taken.push(length);
    };
    expect(await rejection(take())).toMatchObject({ code: 'source-changed', offset: 8 * MiB });
    expect(taken).toEqual([4 * MiB, 4 * MiB]);
  });

  test('that are too few are an error', async () => {
    const troubled = new TroubledBlob([blob]);
    troubled.missing = 1;
    const error = await rejection(arriving(blobSource(troubled), 0, 10).next());
    expect(error).toMatchObject({ code: 'short-read', message: 'the file ended 1 bytes early' });
  });

  test('are not waited for any more when they are aborted, and not asked for', async () => {
    const troubled = new TroubledBlob([blob]);
    troubled.pending = new Promise(() => {});
    const controller = new AbortController();
    const next = arriving(blobSource(troubled), 0, 10, controller.signal).next();
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await rejection(next)).toBe(reason);
    expect(await rejection(arriving(blobSource(troubled), 0, 10, controller.signal).next())).toBe(reason);
    expect(troubled.slices).toBe(1);
  });

  test('end when the source is closed', async () => {
    const source = blobSource(large);
    const chunks = arriving(source, 0, large.size);
    await chunks.next();
    await source.close?.();
    expect(await rejection(chunks.next())).toMatchObject({ code: 'closed' });
  });
});
