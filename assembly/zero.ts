/**
 * Length of the run of zero bytes at the start of `length` bytes, rounded down to a multiple of 16;
 * `length` itself when all of them are zero.
 */
export function zeroPrefix(at: usize, length: usize): usize {
  let done: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; done + 64 <= length; done += 64) {
      const here = at + done;
      const first = v128.or(v128.load(here), v128.load(here, 16));
      const second = v128.or(v128.load(here, 32), v128.load(here, 48));
      if (v128.any_true(v128.or(first, second))) break;
    }
  }
  for (; done + 16 <= length; done += 16) {
    // At any address: WebAssembly allows that; the JavaScript made of the scalar build needs the alignment, the last 1.
    if ((load<u64>(at + done, 0, 1) | load<u64>(at + done, 8, 1)) != 0) return done;
  }
  for (let tail = done; tail < length; tail++) {
    if (load<u8>(at + tail) != 0) return done;
  }
  return length;
}

/**
 * Length of the run of granules at the start of `length` bytes that each have a byte other than zero in them.
 * A granule has `granule` bytes, the last one what is left.
 */
export function nonzeroPrefix(at: usize, length: usize, granule: usize): usize {
  let done: usize = 0;
  while (done < length) {
    const size = min(granule, length - done);
    if (zeroPrefix(at + done, size) == size) return done;
    done += size;
  }
  return done;
}
