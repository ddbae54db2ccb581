import { contentBytes, hasSector } from './block-content.js';
import type { BuiltImage } from './build-image.js';
import { type BlockSpec, STATE } from './image-spec.js';

/** What a virtual disk holds, worked out without looking at any file. */
export interface DiskModel {
  /** Bytes. */
  readonly size: number;
  /** The `length` bytes from `offset` on. */
  expected(offset: number, length: number): Uint8Array;
}

/**
 * The virtual disk that an image was built to hold, by the plain meaning of its spec ([MS-VHDX] 2.5.1.1): an oracle that
 * knows no BAT, no bitmap block and no file offset. What was patched into the file afterwards it does not know.
 */
export function modelOf(image: BuiltImage, parent?: DiskModel): DiskModel {
  const { spec } = image;
  const size = Number(spec.virtualSize);
  const other: BlockSpec = { state: spec.otherBlocks };

  /** Fills `target` with what is within one block. */
  const readBlock = (target: Uint8Array, block: number, offset: number): void => {
    const { state, data = 0, bitmap } = spec.blocks[block] ?? other;
    const own = () => contentBytes(data, offset, target.length);
    const inherited = () => inheritedBytes(parent, block * spec.blockSize + offset, target.length);
    if (state === STATE.fullyPresent) target.set(own());
    else if (state === STATE.partiallyPresent) {
      target.set(inherited());
      const mine = own();
      for (let at = 0, end = 0; at < target.length; at = end) {
        const sector = Math.floor((offset + at) / spec.logicalSectorSize);
        end = Math.min(target.length, (sector + 1) * spec.logicalSectorSize - offset);
        if (bitmap && hasSector(bitmap, sector)) target.set(mine.subarray(at, end), at);
      }
    } else if (state === STATE.notPresent && spec.hasParent) target.set(inherited());
  };

  return {
    size,
    expected(offset, length) {
      if (offset < 0 || offset + length > size) throw new RangeError(`${length} bytes at ${offset} of ${size}`);
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const block = Math.floor((offset + done) / spec.blockSize);
        const start = offset + done - block * spec.blockSize;
        const part = Math.min(length - done, spec.blockSize - start);
        readBlock(bytes.subarray(done, done + part), block, start);
        done += part;
      }
      return bytes;
    },
  };
}

/** What a parent hands down: its bytes, and zeros past its end. */
function inheritedBytes(parent: DiskModel | undefined, offset: number, length: number): Uint8Array {
  if (!parent) throw new Error(`the model of a differencing disk needs that of its parent at ${offset}`);
  const bytes = new Uint8Array(length);
  const inside = Math.min(length, parent.size - offset);
  if (inside > 0) bytes.set(parent.expected(offset, inside));
  return bytes;
}
