/**
 * Refuses a read that leaves its source, so that no source has to think about it twice.
 *
 * @param size length of the source in bytes
 * @param offset first byte wanted
 * @param length number of bytes wanted
 * @throws RangeError when the offset is not a whole number or the range is not wholly inside the source
 */
export function checkRange(size: number, offset: number, length: number): void {
  // Not `offset + length > size`: a sum may be rounded, a difference of two safe integers is not.
  if (Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && length <= size - offset) return;
  throw new RangeError(`${length} bytes at ${offset} are not inside the ${size} bytes that there are`);
}
