// @ts-check
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { fixture } from './fixtures.mjs';
import { library } from './harness.mjs';
import { MiB } from './images.mjs';
import { floorRow, rate, speedRow } from './rows.mjs';
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
        'disk.stream of type bytes, into one buffer of 1 MiB': () =>
          onDisk(url, async (disk) => {
            const reader = disk.stream({ type: 'bytes', length: LENGTH }).getReader({ mode: 'byob' });
            for (let target = new Uint8Array(MiB); ; ) {
              const { done, value } = await reader.read(target);
              if (done) break;
              target = new Uint8Array(value.buffer);
            }
          }),
      },
      { rounds: 9, seconds: 40 },
    );
    const row = (/** @type {string} */ ours) =>
      speedRow({ what: ours, ours, theirs: plain, runs, figure: rate(LENGTH) });
    return {
      title: 'Read 256 MiB from a server',
      notes: [
        'From a server on the same machine, in a process of its own; where there is a latency, through a proxy that passes everything on late, because this kernel has no `tc netem`. The plain fetch gets the same bytes with one request and looks at none of them; ours open the image anew each time, outside of what is timed.',
      ],
      rows: [
        { ...row('disk.stream'), target: 'http-stream' },
        { ...row('disk.checksum'), target: 'http-checksum' },
        row('disk.readInto, 1 MiB after 1 MiB'),
        row('disk.stream of type bytes, into one buffer of 1 MiB'),
        ...(await farAway(Number(port), start)),
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

/** How long the way there and back is, in milliseconds. */
const LATENCIES = /** @type {const} */ ([20, 80, 200]);
/** Bytes that are read over it. */
const FAR = 64 * MiB;
/** Ranges of a server that are asked for at a time. */
const RANGES = 4;

/**
 * The same from a server that is far away.
 *
 * @param {number} port of the server
 * @param {number} start where the bytes of the disk begin in the file
 */
async function farAway(port, start) {
  const { openVhdx } = await library();
  /** @type {import('./rows.mjs').Row[]} */
  const rows = [];
  for (const latency of LATENCIES) {
    const proxy = spawn(
      process.execPath,
      [fileURLToPath(new URL('delaying-proxy.mjs', import.meta.url)), `${port}`, `${latency}`],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      const [proxyPort] = await once(proxy.stdout, 'data');
      const url = `http://127.0.0.1:${Number(proxyPort)}/disk.vhdx`;
      const disk = await openVhdx(url);
      await disk.read(0, 4096); // its BAT page is there, and a connection
      let at = 0;
      const next = () => {
        at = (at + 17 * MiB) % (1024 * MiB - 4096);
        return at;
      };
      const ranges = `${RANGES} plain ranges at a time`;
      const one = 'one plain range';
      const runs = await takeTurns(
        {
          [ranges]: () =>
            timed(async () => {
              const part = FAR / RANGES;
              const from = Array.from({ length: RANGES }, (_, i) => start + i * part);
              await Promise.all(from.map((first) => fetchAll(url, first, first + part - 1)));
            }),
          'disk.stream': () =>
            timed(async () => {
              let length = 0;
              for await (const chunk of disk.stream({ length: FAR })) length += chunk.length;
              if (length !== FAR) throw new Error(`the stream had ${length} bytes`);
            }),
          [one]: () => {
            const first = start + next();
            return timed(() => fetchAll(url, first, first + 4095));
          },
          'disk.read': () => timed(async () => void (await disk.read(next(), 4096))),
        },
        { rounds: 7, seconds: 12 },
      );
      await disk.close();
      const far = `${latency} ms away`;
      rows.push(
        speedRow({
          what: `disk.stream, ${far}`,
          ours: 'disk.stream',
          theirs: ranges,
          runs,
          figure: rate(FAR),
          target: `http-stream-${latency}`,
        }),
        floorRow({
          what: `4 KiB anywhere, ${far}`,
          ours: 'disk.read',
          theirs: one,
          runs,
          target: `http-read-${latency}`,
        }),
      );
    } finally {
      proxy.kill();
    }
  }
  return rows;
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
