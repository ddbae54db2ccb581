/**
 * A map of a part of the file, one bit for each MiB that is taken. A MiB that is marked twice belongs to two owners; a
 * second map has those.
 *
 * A file that is longer than the map is gone through in several parts. An entry belongs to the part in which it ends,
 * and each part begins low enough to hold all of the entries that belong to it, so that every entry is judged once.
 */
const MIB: u64 = 0x100000;

/** The map of the places that are taken, and that of the places that are taken twice. */
let map: usize = 0;
let sharedMap: usize = 0;
/** The MiB that the maps cover. */
let mapFirst: u64 = 0;
export let mapEnd: u64 = 0;
/** Where the part before this one ended, in MiB: what ends up to there was judged in it. */
let judgedEnd: u64 = 0;

/** MiB that were found shared since {@link takeSharedCount}. */
let sharedCount: u64 = 0;

/** How many MiB were found shared since the last call. */
export function takeSharedCount(): u64 {
  const count = sharedCount;
  sharedCount = 0;
  return count;
}

/** Sets a bit of a map; true if it was set before. */
function setBit(base: usize, bit: u64): bool {
  const at = base + <usize>(bit >> 3);
  const shift = <u8>(bit & 7);
  const mask = <u8>(1 << shift);
  const byte = load<u8>(at);
  store<u8>(at, byte | mask);
  return (byte & mask) != 0;
}

/** Marks a range of the file, as far as the map covers it, and what was marked before as shared. Returns how many MiB are new. */
export function mark(file: u64, length: u64): u64 {
  let fresh: u64 = 0;
  const end = min((file + length - 1) / MIB + 1, mapEnd);
  for (let unit = max(file / MIB, mapFirst); unit < end; unit++) {
    if (!setBit(map, unit - mapFirst)) fresh++;
    else if (!setBit(sharedMap, unit - mapFirst)) sharedCount++;
  }
  return fresh;
}

/** Whether any MiB of a range has its bit set. */
function isMarked(base: usize, file: u64, length: u64): bool {
  const end = min((file + length - 1) / MIB + 1, mapEnd);
  for (let unit = max(file / MIB, mapFirst); unit < end; unit++) {
    const bit = unit - mapFirst;
    if ((load<u8>(base + <usize>(bit >> 3)) >> <u8>(bit & 7)) & 1) return true;
  }
  return false;
}

/** Whether any MiB of a range is taken. */
export function isTaken(file: u64, length: u64): bool {
  return isMarked(map, file, length);
}

/** Whether any MiB of a range is taken twice. */
export function isShared(file: u64, length: u64): bool {
  return isMarked(sharedMap, file, length);
}

/** Whether an entry belongs to this part of the file: it ends in it, and not before it. */
export function belongsHere(file: u64, length: u64): bool {
  const end = (file + length - 1) / MIB + 1;
  return end > judgedEnd && end <= mapEnd;
}

/** Chooses the maps for the calls that follow at once; `judged` is where the part before this one ended, in MiB. */
export function useMap(address: usize, shared: usize, firstMiB: f64, lengthMiB: f64, judged: f64): void {
  map = address;
  sharedMap = shared;
  mapFirst = <u64>firstMiB;
  mapEnd = mapFirst + <u64>lengthMiB;
  judgedEnd = <u64>judged;
}

/** Marks a structure in the map. */
export function markRange(file: f64, length: f64): void {
  mark(<u64>file, <u64>length);
}

/** How many of `length` MiB from the map's number `first` on are not marked. */
export function countUnmarked(first: f64, length: f64): f64 {
  let free: u64 = 0;
  const end = <u64>first + <u64>length;
  let bit = <u64>first;
  while (bit < end) {
    if ((bit & 63) == 0 && end - bit >= 64) {
      free += 64 - popcnt(load<u64>(map + <usize>(bit >> 3)));
      bit += 64;
    } else {
      free += <u64>(((load<u8>(map + <usize>(bit >> 3)) >> <u8>(bit & 7)) & 1) ^ 1);
      bit++;
    }
  }
  return <f64>free;
}
