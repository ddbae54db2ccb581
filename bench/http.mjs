// @ts-check
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { fixture } from './fixtures.mjs';
import { library } from './harness.mjs';
import { MiB } from './images.mjs';
import { rate, speedRow } from './rows.mjs';
import { takeTurns } from './turns.mjs';

const LENGTH = 256 * MiB;

/** How fast is a disk on a server read from end to end? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  const { openVhdx } = await library();
  const image = fixture(folder, 'full-1g');
  const server = spawn(process.execPath, [fileURLToPath(new URL('http-server.mjs', import.meta.url)), image], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [port] = await once(server.stdout, 'data');
    const url = `http://127.0.0.1:${Number(port)}/disk.vhdx`;
    const local = await openVhdx(image);
    const start = await fileOffset(local);
    const expected = await local.checksum({ length: LENGTH });
    await local.close();

    const plain = 'one plain fetch';
    const runs = await takeTurns(
      {
        [plain]: () => timed(() => fetchAll(url, start, start + LENGTH - 1)),
        'disk.stream': () =>
          onDisk(url, async (disk) => {
            let length = 0;
            for await (const chunk of disk.stream({ length: LENGTH })) length += chunk.length;
            if (length !== LENGTH) throw new Error(`the stream had ${length} bytes`);
          }),
        'disk.checksum': () =>
          onDisk(url, async (disk) => {
            if ((await disk.checksum({ length: LENGTH })) !== expected) throw new Error('the checksum is another one');
          }),
        'disk.readInto, 1 MiB after 1 MiB': () =>
          onDisk(url, async (disk) => {
            const target = new Uint8Array(MiB);
            for (let at = 0; at < LENGTH; at += MiB) await disk.readInto(target, at);
          }),
      },
      { rounds: 9, seconds: 40 },
    );
    const row = (/** @type {string} */ ours) =>
      speedRow({ what: ours, ours, theirs: plain, runs, figure: rate(LENGTH) });
    return {
      title: 'Read 256 MiB from a server',
      notes: [
        'From a server on the same machine, in a process of its own. The plain fetch gets the same bytes with one request and looks at none of them; ours open the image anew each time, outside of what is timed.',
      ],
      rows: [
        { ...row('disk.stream'), target: 'http-stream' },
        row('disk.checksum'),
        row('disk.readInto, 1 MiB after 1 MiB'),
      ],
      leftOut: [],
    };
  } finally {
    server.kill();
  }

  /** @param {string} url @param {(disk: import('../src/index.js').VhdxDisk) => Promise<void>} read */
  async function onDisk(url, read) {
    const disk = await openVhdx(url);
    try {
      return await timed(() => read(disk));
    } finally {
      await disk.close();
    }
  }
}

/** Where the bytes of the disk begin in its file; they follow one another there. @param {import('../src/index.js').VhdxDisk} disk */
async function fileOffset(disk) {
  for await (const { length, fileOffset } of disk.extents({ length: LENGTH })) {
    if (length === LENGTH && fileOffset !== undefined) return fileOffset;
  }
  throw new Error('the image is not made as this question needs it');
}

/** @param {() => Promise<void>} run */
async function timed(run) {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

/** @param {string} url @param {number} from @param {number} last */
async function fetchAll(url, from, last) {
  const { body } = await fetch(url, { headers: { Range: `bytes=${from}-${last}` } });
  if (!body) throw new Error('no body');
  let length = 0;
  for await (const chunk of body) length += chunk.length;
  if (length !== last + 1 - from) throw new Error(`the fetch had ${length} bytes`);
}
