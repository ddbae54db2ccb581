import { createVhdx, editVhdx, openVhdx, repairVhdx, setVhdx, VhdxError } from '../../../src/index.js';

/** What the worker found out, for the page's spec. */
export type TargetsOutcome = Record<string, unknown>;

const MiB = 1024 * 1024;

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error: unknown) => (error instanceof VhdxError ? error.code : String(error)),
  );

async function scenario(): Promise<TargetsOutcome> {
  const root = await navigator.storage.getDirectory();
  const name = `disk-${crypto.randomUUID()}.vhdx`;
  const handle = await root.getFileHandle(name, { create: true });
  await createVhdx(handle, { size: 1024 * MiB });
  const outcome: TargetsOutcome = { again: await codeOf(createVhdx(handle, { size: MiB })) };

  const disk = await editVhdx(handle);
  outcome.second = await codeOf(editVhdx(handle));
  await disk.write(new Uint8Array(3 * MiB).fill(7), 500 * MiB + 1);
  await disk.flush();
  // As after a crash of the page: the file that was flushed, without the session's end.
  const flushed = await disk.read(500 * MiB, 3);
  outcome.flushed = [...flushed];
  await disk.zero(501 * MiB, MiB);
  await disk.close();

  await setVhdx(handle, { physicalSectorSize: 512 });
  outcome.repairs = (await repairVhdx(handle)).repairs.length;
  // A handle that the caller opened serves as well, and stays open.
  const sync = await (
    handle as unknown as { createSyncAccessHandle(): Promise<Parameters<typeof editVhdx>[0] & { close(): void }> }
  ).createSyncAccessHandle();
  const own = await editVhdx(sync);
  await own.write(Uint8Array.of(1), 0);
  await own.close();
  sync.close();

  const reading = await openVhdx(await handle.getFile(), { strict: true });
  outcome.sectors = reading.physicalSectorSize;
  outcome.content = await Promise.all(
    [0, 500 * MiB, 500 * MiB + 1, 501 * MiB - 1, 501 * MiB, 502 * MiB - 1, 503 * MiB, 503 * MiB + 1].map(
      async (offset) => (await reading.read(offset, 1))[0],
    ),
  );
  await reading.close();
  await root.removeEntry(name);
  return outcome;
}

scenario().then(
  (outcome) => self.postMessage(outcome),
  (error: unknown) => self.postMessage({ failed: String(error) }),
);
