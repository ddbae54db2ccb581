// @ts-check
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fixture, flatFile } from './fixtures.mjs';
import { flatChecksum } from './flat-checksum.mjs';
import { coreBuilds, library, measured, vhdx } from './harness.mjs';
import { GiB } from './images.mjs';
import { floorRow, rate, speedRow } from './rows.mjs';
import { takeTurns } from './turns.mjs';

/** What does the checksum of a disk cost, and what do holes cost? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  const { openVhdx } = await library();
  const { instantiateCore } = await coreBuilds();
  const flatPath = flatFile(folder);
  const flat = flatChecksum(flatPath, await instantiateCore('simd'));
  const [full, sparse] = [await openVhdx(fixture(folder, 'full-1g')), await openVhdx(fixture(folder, 'sparse-4t'))];
  if ((await flat()) !== (await full.checksum())) throw new Error('the same bytes have two checksums');
  const floor = 'fs.read of a flat image, summed';
  const runs = await takeTurns(
    {
      'all of it data': timed(() => full.checksum()),
      [floor]: timed(flat),
      sparse: timed(() => sparse.checksum()),
    },
    { rounds: 9, seconds: 20 },
  );
  await Promise.all([full.close(), sparse.close()]);
  const common = { runs, theirs: floor, figure: rate(GiB) };
  return {
    title: 'Checksum of a disk',
    notes: [
      '1 GiB of data each time, in the page cache; figures are bytes of data, not of the disk. The floor reads with eight requests of 1 MiB in flight straight into the core’s memory and sums with the same kernel.',
      'Two shards: `xargs -P 2` over `vhdx checksum --offset … --length 2G`, joined by `--combine`, on 4 GiB of data; programs from start to end.',
    ],
    rows: [
      floorRow({ what: '4 TiB virtual', ours: 'sparse', target: 'checksum-sparse', ...common }),
      floorRow({ what: '1 GiB virtual, all of it data', ours: 'all of it data', ...common }),
      await shards(fixture(folder, 'full-4g')),
    ],
    leftOut: [],
  };
}

/** @param {() => Promise<unknown>} run */
function timed(run) {
  return async () => {
    const start = performance.now();
    await run();
    return (performance.now() - start) / 1000;
  };
}

/** One process against two that share the work. @param {string} image */
async function shards(image) {
  const command = (/** @type {string[]} */ ...args) =>
    vhdx(...args)
      .map(quoted)
      .join(' ');
  const part = command('checksum', '--length', '2G', '--offset');
  const script = `printf '%s\\n' 0 2G | xargs -P 2 -I{} ${part} {} ${quoted(image)} | ${command('checksum', '--combine')}`;
  const [whole] = String(spawnSync(...split(vhdx('checksum', image)), { encoding: 'utf8' }).stdout).split(' ');
  const runs = await takeTurns(
    {
      'two shards': async () => {
        const { seconds, output } = await measured(['sh', '-c', script], { output: 'keep' });
        if (!output.startsWith(`${whole} `)) throw new Error(`shards make ${output}, the whole is ${whole}`);
        return seconds;
      },
      'one process': async () => (await measured(vhdx('checksum', image))).seconds,
    },
    { rounds: 5, seconds: 30 },
  );
  const what = `4 GiB of data in two shards (${availableParallelism()} processors)`;
  return speedRow({ what, runs, ours: 'two shards', theirs: 'one process', figure: rate(4 * GiB) });
}

/** @param {string} word */
const quoted = (word) => (/^[\w./:{}-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** @param {string[]} command @returns {[string, string[]]} */
const split = ([name, ...args]) => [String(name), args];
