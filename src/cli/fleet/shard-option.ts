import { type Command, InvalidArgumentError } from 'commander';
import type { Shard } from '../../index.js';
import { Failure } from '../failure.js';
import { parseCount } from '../parse-count.js';

/** What says which part of the work a process does. */
export interface ShardFlags {
  readonly shard?: Shard | 'auto';
  readonly of?: number;
  readonly to?: string;
  readonly partition?: number;
  readonly threads?: number;
}

/** Adds the options of work that is done in parts. */
export function addShardOptions(command: Command): Command {
  return command
    .option(
      '--shard <i/n>',
      'do part I of N, from 0 on; auto takes them from the variables of a batch engine',
      parseShard,
    )
    .option('--of <n>', 'with --shard auto, how many parts there are, if the engine does not say', parseCount)
    .option('--to <file>', 'write the part to this file, whole or not at all; nothing is done if it is there already');
}

function parseShard(text: string): Shard | 'auto' {
  if (text === 'auto') return text;
  const [, index, of] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (index === undefined || of === undefined)
    throw new InvalidArgumentError('It is neither I/N, such as 0/4, nor auto.');
  return checked({ index: Number(index), of: Number(of) }, (reason) => new InvalidArgumentError(reason));
}

function checked(shard: Shard, fault: (reason: string) => Error): Shard {
  const { index, of } = shard;
  if (!Number.isSafeInteger(of) || of < 1) throw fault(`There must be 1 part or more, not ${of}.`);
  if (!(index < of)) throw fault(`There is no part ${index} of ${of}: they are 0 to ${of - 1}.`);
  return shard;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Batch engines, by the variable that has the number of a task. */
const ENGINES: readonly { readonly variable: string; readonly shard: (env: Environment) => Partial<Shard> }[] = [
  {
    variable: 'SLURM_ARRAY_TASK_ID',
    // The numbers of an array are any that its user wanted: --array=3-9:2 has 4 of them, 3, 5, 7 and 9.
    shard: (env) => {
      const step = number(env, 'SLURM_ARRAY_TASK_STEP') ?? 1;
      const index = ((number(env, 'SLURM_ARRAY_TASK_ID') ?? 0) - (number(env, 'SLURM_ARRAY_TASK_MIN') ?? 0)) / step;
      const of = number(env, 'SLURM_ARRAY_TASK_COUNT');
      return { index, ...(of !== undefined && { of }) };
    },
  },
  { variable: 'JOB_COMPLETION_INDEX', shard: (env) => ({ index: number(env, 'JOB_COMPLETION_INDEX') ?? 0 }) },
  { variable: 'AWS_BATCH_JOB_ARRAY_INDEX', shard: (env) => ({ index: number(env, 'AWS_BATCH_JOB_ARRAY_INDEX') ?? 0 }) },
];

function number(env: Environment, name: string): number | undefined {
  const text = env[name];
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new Failure(`${name} is ${JSON.stringify(text)}, not a number`);
  return Number(text);
}

/**
 * The part that is asked for; undefined if the whole is. Variables of the environment are read for `--shard auto` only.
 *
 * @throws Failure if it is not one of the parts, or `auto` finds no engine
 */
export function shardOf(
  { shard, of, partition, threads }: ShardFlags,
  env: Environment = process.env,
): Shard | undefined {
  if (shard !== undefined && partition !== undefined)
    throw new Failure('--shard is for whole disks, without --partition');
  if (shard !== undefined && threads !== undefined)
    throw new Failure('--threads is for undivided work: --shard does a part, by one thread');
  if (shard !== 'auto') {
    if (of !== undefined) throw new Failure('--of goes with --shard auto');
    return shard;
  }
  const engine = ENGINES.find(({ variable }) => env[variable] !== undefined);
  if (!engine) {
    const names = ENGINES.map(({ variable }) => variable).join(', ');
    throw new Failure(`--shard auto: no batch engine says which part this is; none of ${names} is set`);
  }
  const { index = 0, of: count = of } = engine.shard(env);
  const fault = (reason: string) => new Failure(`--shard auto, by ${engine.variable}: ${reason}`);
  if (count === undefined) throw fault('The number of parts is not known; --of N says it.');
  if (of !== undefined && of !== count) throw fault(`The engine has ${count} parts, and --of says ${of}.`);
  if (!Number.isInteger(index)) throw fault('The numbers of the tasks are not evenly spaced.');
  return checked({ index, of: count }, fault);
}
