/** Compares bytes. */

/** How many bytes from the start on are the same at `a` and at `b`; `length` if all are. */
export function equalPrefix(a: usize, b: usize, length: usize): usize {
  let at: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; at + 64 <= length; at += 64) {
      const x = v128.xor(v128.load(a + at), v128.load(b + at));
      const y = v128.xor(v128.load(a + at, 16), v128.load(b + at, 16));
      const z = v128.xor(v128.load(a + at, 32), v128.load(b + at, 32));
      const w = v128.xor(v128.load(a + at, 48), v128.load(b + at, 48));
      if (v128.any_true(v128.or(v128.or(x, y), v128.or(z, w)))) break;
    }
  }
  for (; at + 8 <= length; at += 8) {
    // The JavaScript build needs the alignment: without it, it would read another place.
    if (load<u64>(a + at, 0, 1) != load<u64>(b + at, 0, 1)) break;
  }
  while (at < length && load<u8>(a + at) == load<u8>(b + at)) at++;
  return at;
}
