import { LEADING_BYTES, LOG_SECTOR_SIZE, type LogWrite, restoreDataSector, TRAILING_BYTES } from '../format/log.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { ReplayPlan } from './plan.js';

/**
 * The writes that replay a log in place ([MS-VHDX] 2.3.3), in the order of their offsets, none overlapping another.
 * Who makes them also sets the file's length to that of the plan, and keeps the order of headers and flushes. The log
 * is read while they are made, which is safe, because no write of a plan has its target in the log.
 *
 * The bytes of a write are valid until the next one is asked for.
 */
export async function* replayWrites(
  source: RandomAccessSource,
  { changes }: ReplayPlan,
  options?: ReadOptions,
): AsyncGenerator<LogWrite> {
  const bytes = new Uint8Array(LOG_SECTOR_SIZE);
  const displaced = new Uint8Array(TRAILING_BYTES + LEADING_BYTES);
  for (let i = 0; i < changes.count; i++) {
    const offset = changes.offset(i);
    const dataOffset = changes.dataOffset(i);
    if (dataOffset === undefined) {
      yield { offset, length: changes.end(i) - offset };
      continue;
    }
    await source.readInto(bytes, dataOffset, options);
    await source.readInto(displaced, changes.displacedOffset(i), options);
    restoreDataSector(bytes, displaced);
    yield { offset, bytes };
  }
}
