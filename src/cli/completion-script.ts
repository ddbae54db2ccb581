/** The shells that there are scripts for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
/** A shell that there is a script for. */
export type Shell = (typeof SHELLS)[number];

/** An option of a subcommand. */
interface DescribedOption {
  /** Such as `-O` and `--output`. */
  readonly names: readonly string[];
  readonly about: string;
  /** What follows it: one of some words, or anything, such as a file; undefined if nothing does. */
  readonly takes: readonly string[] | 'anything' | undefined;
}

/** A subcommand, as a shell must know it. */
export interface Described {
  readonly name: string;
  readonly about: string;
  readonly options: readonly DescribedOption[];
  /** What may stand for its arguments; files if there is nothing. */
  readonly words: readonly string[];
}

/** A script with which a shell completes subcommands, options, what they take, and files. */
export function completionScript(shell: Shell, commands: readonly Described[]): string {
  return { bash, zsh, fish }[shell](commands);
}

/** A text in single quotes, for any of the three. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function bash(commands: readonly Described[]): string {
  const choices = commands.flatMap(({ name, options }) =>
    options.flatMap(({ names, takes }) =>
      takes === undefined
        ? []
        : [
            `    ${names.map((one) => quoted(`${name} ${one}`)).join('|')}) ${takes === 'anything' ? 'files=1' : `words=${quoted(takes.join(' '))}`} ;;`,
          ],
    ),
  );
  const own = commands.map(
    ({ name, options, words }) =>
      `    ${name}) options=${quoted(options.flatMap(({ names }) => names).join(' '))}; words=${quoted(words.join(' '))} ;;`,
  );
  return `# bash completion of vhdx
_vhdx() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command= options= words= files= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} != -* ]]; then command=\${COMP_WORDS[i]}; break; fi
  done
  COMPREPLY=()
  case "$command $previous" in
${choices.join('\n')}
  esac
  if [[ -n $files ]]; then return; fi
  if [[ -z $words ]]; then case $command in
    '') words=${quoted([...commands.map(({ name }) => name), 'help'].join(' '))}; options='--help --version' ;;
${own.join('\n')}
  esac; fi
  if [[ $current == -* ]]; then words=$options; fi
  if [[ -n $words ]]; then COMPREPLY=($(compgen -W "$words" -- "$current")); fi
}
# Where the function says nothing, there are files.
complete -o bashdefault -o default -F _vhdx vhdx
`;
}

function zsh(commands: readonly Described[]): string {
  // Brackets, colons and backslashes have a meaning in what _arguments is told.
  const plain = (text: string) => text.replaceAll(/[[\]:\\]/g, '\\$&');
  const told = ({ names, about, takes }: DescribedOption): string => {
    const value = takes === undefined ? '' : `:value:${takes === 'anything' ? '_files' : `(${takes.join(' ')})`}`;
    // Options may be repeated: some take several files.
    return names.map((name) => quoted(`*${name}[${plain(about)}]${value}`)).join(' ');
  };
  const cases = commands.map(({ name, options, words }) => {
    const rest = quoted(words.length > 0 ? `*:word:(${words.join(' ')})` : '*:file:_files');
    return `    ${name}) _arguments ${[...options.map(told), rest].join(' \\\n      ')} ;;`;
  });
  const list = commands.map(({ name, about }) => `    ${quoted(`${name}:${plain(about)}`)}`);
  return `#compdef vhdx
# zsh completion of vhdx
_vhdx() {
  local -a commands
  commands=(
${list.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
compdef _vhdx vhdx
`;
}

function fish(commands: readonly Described[]): string {
  const all = commands.map(
    ({ name, about }) => `complete -c vhdx -n __fish_use_subcommand -f -a ${name} -d ${quoted(about)}`,
  );
  const lines = commands.flatMap(({ name, options, words }) => {
    const when = `complete -c vhdx -n ${quoted(`__fish_seen_subcommand_from ${name}`)}`;
    const told = options.map(({ names, about, takes }) => {
      const flags = names.map((one) => (one.startsWith('--') ? `-l ${one.slice(2)}` : `-s ${one.slice(1)}`)).join(' ');
      const value = takes === undefined ? '' : takes === 'anything' ? ' -r' : ` -x -a ${quoted(takes.join(' '))}`;
      return `${when} ${flags}${value} -d ${quoted(about)}`;
    });
    return words.length > 0 ? [...told, `${when} -f -a ${quoted(words.join(' '))}`] : told;
  });
  return `# fish completion of vhdx\n${[...all, ...lines].join('\n')}\n`;
}
