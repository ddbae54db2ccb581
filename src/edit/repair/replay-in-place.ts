import { MiB } from '../../base/units.js';
import { ZERO_GUID } from '../../format/guid.js';
import { replayWrites } from '../../log/apply.js';
import type { HeaderSlots } from '../../log/header-slots.js';
import type { ReplayPlan } from '../../log/plan.js';
import type { SessionFile } from '../../log/session-file.js';

/**
 * Replays the log of a dirty file in place ([MS-VHDX] 2.3.3): headers with a new FileWriteGuid and the old log GUID, so
 * that the replay can begin again whatever happens; the file's length and all writes; headers without a log GUID. Each
 * step is durable before the next. The DataWriteGuid stays: what the disk holds does not change.
 *
 * @param plan of the file as it is; checked as a whole, so nothing is written of a log that is damaged
 */
export async function replayInPlace(
  file: SessionFile,
  headers: HeaderSlots,
  plan: ReplayPlan,
  fileWriteGuid: string,
): Promise<void> {
  await headers.updateBoth({ fileWriteGuid });
  await file.extend(plan.size);
  for await (const write of replayWrites(file, plan)) {
    if ('bytes' in write) await file.write(write.bytes.slice(), write.offset);
    else await writeZeros(file, write.offset, write.length);
  }
  await file.flush();
  await headers.updateBoth({ logGuid: ZERO_GUID });
}

async function writeZeros(file: SessionFile, offset: number, length: number): Promise<void> {
  const zeros = new Uint8Array(Math.min(length, 1 * MiB));
  for (let done = 0; done < length; done += zeros.length) {
    await file.write(zeros.subarray(0, Math.min(zeros.length, length - done)), offset + done);
  }
}
