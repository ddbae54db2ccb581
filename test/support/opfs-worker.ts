import { type OpfsFileHandle, openOpfsFile, syncHandleFile } from '../../src/io/opfs.js';
import { lockInPage } from '../../src/io/page-lock.js';

/** What the worker found out, for the page's spec. */
export type OpfsOutcome = Record<string, unknown>;

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: { code?: string; name: string }) => error.code ?? error.name,
  );

async function scenario(): Promise<OpfsOutcome> {
  const root = await navigator.storage.getDirectory();
  const name = `disk-${crypto.randomUUID()}`;
  const handle = (await root.getFileHandle(name, { create: true })) as OpfsFileHandle;
  const file = await openOpfsFile(handle);
  const outcome: OpfsOutcome = { name: file.name === name, empty: file.size };

  await file.write(Uint8Array.of(1, 2, 3), 5000);
  outcome.grown = file.size;
  const bytes = new Uint8Array(5003).fill(9);
  await file.readInto(bytes, 0);
  outcome.gap = bytes.subarray(0, 5000).every((byte) => byte === 0);
  outcome.written = [...bytes.subarray(5000)];
  const memory = new WebAssembly.Memory({ initial: 1 });
  await file.readInto(new Uint8Array(memory.buffer, 10, 3), 5000);
  outcome.intoWasm = [...new Uint8Array(memory.buffer, 10, 3)];
  await file.write(new Uint8Array(memory.buffer, 10, 3), 0);
  await file.truncate(4);
  await file.flush();
  outcome.truncated = file.size;
  outcome.past = await codeOf(file.readInto(new Uint8Array(1), 4));
  outcome.second = await codeOf(openOpfsFile(handle));

  await file.close?.();
  outcome.closed = await codeOf(file.write(new Uint8Array(1), 0));
  const blob = await (await root.getFileHandle(name)).getFile();
  outcome.kept = [...new Uint8Array(await blob.arrayBuffer())];

  const own = await handle.createSyncAccessHandle?.();
  if (own !== undefined) {
    const handedOver = syncHandleFile(own);
    await handedOver.close?.();
    outcome.stillOpen = own.getSize();
    const other = syncHandleFile(own);
    own.close();
    outcome.closedByOwner = await codeOf(other.write(new Uint8Array(1), 0));
  }
  await root.removeEntry(name);

  const lock = await lockInPage(name);
  outcome.lock = lock.warning ?? 'held';
  outcome.secondLock = await codeOf(lockInPage(name));
  await lock.release();
  await new Promise((resolve) => setTimeout(resolve, 50));
  outcome.lockAgain = (await lockInPage(name)).warning ?? 'held';
  return outcome;
}

scenario().then(
  (outcome) => self.postMessage(outcome),
  (error: unknown) => self.postMessage({ failed: String(error) }),
);
