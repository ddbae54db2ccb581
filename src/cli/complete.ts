import { Argument, type Command } from 'commander';
import { completionScript, type Described, SHELLS, type Shell } from './completion-script.js';
import { writeOut } from './standard-output.js';

const EXAMPLES = `
Names of commands and options, what options take, and files. For the shell that is open, or for good in its own file:

  source <(vhdx complete bash)                                      # ~/.bashrc
  source <(vhdx complete zsh)                                       # ~/.zshrc, after compinit
  vhdx complete fish > ~/.config/fish/completions/vhdx.fish`;

/** Defines `vhdx complete`. All other subcommands are there by now. */
export function define(command: Command): void {
  command
    .description('Prints a script with which a shell completes the words of this command.')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .addHelpText('after', EXAMPLES)
    .action((shell: Shell) => writeOut(completionScript(shell, (command.parent?.commands ?? []).map(described))));
}

function described(command: Command): Described {
  const help = command.createHelp();
  return {
    name: command.name(),
    about: command.summary(),
    options: help.visibleOptions(command).map((option) => ({
      names: [option.short, option.long].filter((name) => name !== undefined),
      about: option.description,
      takes: option.required || option.optional ? (option.argChoices ?? 'anything') : undefined,
    })),
    words: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
  };
}
