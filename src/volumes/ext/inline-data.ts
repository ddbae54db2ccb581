import type { Inode } from './inode.js';
import { damaged } from './problems.js';

const ATTRIBUTES_MAGIC = 0xea02_0000;
/** The index of names that begin with `system.`. */
const SYSTEM = 7;
/** Bytes of an attribute's entry before its name. */
const ENTRY = 16;

/** The contents that are in an inode itself: 60 bytes where others have their map, and an attribute `system.data`. */
export function inlineData(inode: Inode): Uint8Array {
  const { size } = inode.stat;
  const rest = size > inode.map.length ? attribute(inode) : new Uint8Array();
  if (size > inode.map.length + rest.length) throw damaged(`inode ${inode.number}`, 'its contents are not all inside');
  const whole = new Uint8Array(inode.map.length + rest.length);
  whole.set(inode.map);
  whole.set(rest, inode.map.length);
  return whole.subarray(0, size);
}

function attribute({ number, bytes }: Inode): Uint8Array {
  const name = `inode ${number}, attributes`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 128 + (bytes.length > 128 ? view.getUint16(0x80, true) : 0);
  if (start + 4 > bytes.length || view.getUint32(start, true) !== ATTRIBUTES_MAGIC) return new Uint8Array();
  const first = start + 4;
  for (let at = first; at + ENTRY <= bytes.length; ) {
    const [length, index] = [bytes[at] ?? 0, bytes[at + 1]];
    if (length === 0 && index === 0) break;
    const text = new TextDecoder().decode(bytes.subarray(at + ENTRY, at + ENTRY + length));
    if (index === SYSTEM && text === 'data') {
      const [value, size] = [first + view.getUint16(at + 2, true), view.getUint32(at + 8, true)];
      if (view.getUint32(at + 4, true) !== 0 || value + size > bytes.length)
        throw damaged(name, 'data outside of them');
      return bytes.subarray(value, value + size);
    }
    at += Math.ceil((ENTRY + length) / 4) * 4;
  }
  return new Uint8Array();
}
