/** Unit of the search, in bytes: no device reads in smaller steps than a sector, and none has larger sectors. */
const STEP = 4096;

/** Far more than any device has, in steps. A device that still delivers here has no end. */
const LIMIT = 2 ** 53 / STEP / 2;

/**
 * Finds out how long something is that does not tell its size, as block devices do not, by reading at ever larger
 * distances: first doubling the distance, then halving the interval in which the end must be.
 *
 * @param readAt reads up to 4096 bytes at an offset and tells how many there were; none past the end
 * @returns the length in bytes; `Infinity` for something without an end
 */
export async function deviceSize(readAt: (offset: number) => Promise<number>): Promise<number> {
  if ((await readAt(0)) === 0) return 0;
  let present = 0; // the last step known to hold bytes
  let absent = 1; // a step known, or about to be known, to hold none
  while ((await readAt(absent * STEP)) > 0) {
    present = absent;
    absent *= 2;
    if (absent > LIMIT) return Infinity;
  }
  while (absent - present > 1) {
    const middle = Math.floor((present + absent) / 2);
    if ((await readAt(middle * STEP)) > 0) present = middle;
    else absent = middle;
  }
  return present * STEP + (await readAt(present * STEP));
}
