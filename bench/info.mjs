// @ts-check
import { fixture } from './fixtures.mjs';
import { LeftOut, measured, program, vhdx } from './harness.mjs';
import { megabytes, memoryRow, plainRow, speedRow, time } from './rows.mjs';
import { median, Runs, takeTurns } from './turns.mjs';

const BARE = 'node -e 0';

/** What does it take to say what an image of 64 TiB is? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  const image = fixture(folder, 'half-64t');
  const bare = await race({ vhdx: vhdx('info', image), [BARE]: [process.execPath, '-e', '0'] }, 25);
  const rows = [
    aboveBare('time of vhdx info', bare.seconds, time, 'info-time'),
    aboveBare('resident memory of vhdx info', bare.memory, megabytes, 'info-memory'),
  ];
  const { commands, leftOut } = peers(image);
  const others = await race({ vhdx: vhdx('info', image), ...commands }, 5);
  for (const theirs of Object.keys(commands)) {
    rows.push(speedRow({ what: 'time of vhdx info', runs: others.seconds, ours: 'vhdx', theirs }));
    rows.push(memoryRow({ what: 'resident memory of vhdx info', runs: others.memory, ours: 'vhdx', theirs }));
  }
  return {
    title: 'Say what an image is',
    notes: [
      '64 TiB virtual in blocks of 1 MiB, every second of them allocated: a BAT of 513 MiB. Programs from start to end.',
    ],
    rows,
    leftOut,
  };
}

/**
 * What we take more than a Node that does nothing.
 *
 * @param {string} what
 * @param {Runs} runs
 * @param {(value: number) => string} figure
 * @param {import('./targets.mjs').TargetName} target
 */
function aboveBare(what, runs, figure, target) {
  const value = median(runs.minus('vhdx', BARE));
  return plainRow({
    what,
    ours: figure(runs.median('vhdx')),
    peer: `floor: ${BARE}`,
    theirs: figure(runs.median(BARE)),
    ratio: `+ ${figure(value)}`,
    value,
    target,
    loss: `${what}: ${figure(value)} more than the floor, ${BARE}`,
  });
}

/** @param {string} image */
function peers(image) {
  /** @type {Record<string, string[]>} */
  const commands = {};
  /** @type {string[]} */
  const leftOut = [];
  for (const [name, args] of /** @type {[string, string[]][]} */ ([
    ['qemu-img', ['info', '-f', 'vhdx', image]],
    ['7zz', ['l', '-tvhdx', image]],
    ['vhdiinfo', [image]],
  ])) {
    try {
      commands[name] = [program(name), ...args];
    } catch (error) {
      if (!(error instanceof LeftOut)) throw error;
      leftOut.push(error.message);
    }
  }
  return { commands, leftOut };
}

/** @param {Record<string, string[]>} commands @param {number} rounds */
async function race(commands, rounds) {
  /** @type {Record<string, number[]>} */
  const memory = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));
  const turns = Object.entries(commands).map(([name, command]) => [
    name,
    async () => {
      const taken = await measured(command);
      memory[name]?.push(taken.memory);
      return taken.seconds;
    },
  ]);
  const seconds = await takeTurns(Object.fromEntries(turns), { rounds, seconds: 20 });
  return { seconds, memory: new Runs(memory) };
}
