#!/usr/bin/env node
import { CommanderError } from 'commander';
import { BrokenPipe, complain, Failure, Interruption } from './failure.js';
import { failureJson, writeJson } from './json.js';
import { programOf, SUBCOMMANDS } from './subcommands.js';

async function run(args: readonly string[]): Promise<number> {
  const [first, second] = args;
  const asked = first === 'help' ? second : first;
  const program = await programOf(asked);
  try {
    await program.parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    const code = exitCodeOf(error, SUBCOMMANDS[asked ?? '']?.failed ?? 1);
    const command = program.commands.find((candidate) => candidate.name() === asked);
    if (error instanceof Failure && command?.opts()['output'] === 'json')
      await writeJson(failureJson(error)).catch(() => undefined);
    return code;
  }
}

/** Exit code if the reader of a pipe has closed it before everything was written: 128 and the number of SIGPIPE. */
const PIPE_CLOSED = 141;

function exitCodeOf(error: unknown, failed: number): number {
  // A verdict that was reached stays one; what was only to be written is not complete.
  if (error instanceof BrokenPipe) return Number(process.exitCode ?? PIPE_CLOSED);
  // What was begun is complete or undone by now. In Deno a read of a pipe that still waits would keep the process.
  if (error instanceof Interruption) process.exit(error.exitCode);
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : failed; // it has printed its own message
  complain(error);
  return error instanceof Failure ? (error.exitCode ?? failed) : failed;
}

// Not by a top-level await, which no single executable of Node takes.
void run(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
