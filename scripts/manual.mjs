// @ts-check
/** Writes the manual page of the command, dist/vhdx.1, from what its subcommands say of themselves. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import remarkMan from 'remark-man';
import remarkParse from 'remark-parse';
import { unified } from 'unified';
import { createServer } from 'vite';

const root = fileURLToPath(new URL('../', import.meta.url));
const [, date = ''] = /^## \[[\d.]+\] - (\S+)$/m.exec(await readFile(`${root}CHANGELOG.md`, 'utf8')) ?? [];
const { version, description, homepage } = JSON.parse(await readFile(`${root}package.json`, 'utf8'));

const server = await createServer({
  root,
  configFile: false,
  logLevel: 'error',
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, ws: false },
});
/** @type {import('commander').Command} */
let program;
try {
  const { programOf, EVERYTHING } = await server.ssrLoadModule('/src/cli/subcommands.ts');
  program = await programOf(EVERYTHING);
} finally {
  await server.close();
}

/** What stands after the options in a command's help. @param {import('commander').Command} command */
function textAfter(command) {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text) });
  command.outputHelp();
  const [, after = ''] = help.split(/\n {2}-h, --help[^\n]*\n/);
  return after.trim();
}

/** Text as Markdown that means nothing but itself. @param {string} text */
const plain = (text) => text.replaceAll(/[\\`*_<>[\]#&]/g, '\\$&');

/** A list of terms. @param {{ term: string, about: string }[]} rows */
const list = (rows) => rows.map(({ term, about }) => `* \`${term}\`:\n  ${plain(about)}\n`).join('\n');

/** Paragraphs, and the examples among them, which are indented. @param {string} text */
const prose = (text) =>
  text
    .split(/\n\n/)
    .map((part) => (part.startsWith('  ') ? part.replaceAll(/^ {2}/gm, '    ') : plain(part)))
    .join('\n\n');

const commands = program.commands.filter((command) => command.name() !== 'help');
const sections = commands.map((command) => {
  const help = command.createHelp();
  const options = help
    .visibleOptions(command)
    .map((option) => ({ term: option.flags, about: help.optionDescription(option) }));
  return `### ${command.name()}

\`vhdx ${command.name()} ${command.usage()}\`

${plain(command.description())}

${list(options)}

${prose(textAfter(command))}
`;
});

const markdown = `## SYNOPSIS

\`vhdx\` \`COMMAND\` \\[\`OPTION\`...\\] \\[\`FILE\`...\\]

## DESCRIPTION

${plain(program.description())}

FILE is a path or, to read, an http(s) URL. Commands that read never write to an image: the log of a dirty one is replayed in memory. Sizes and offsets take the suffixes k, M, G, T, P and E, and may be given in hexadecimal.

## COMMANDS

${sections.join('\n')}

## SEE ALSO

${plain(homepage)}
`;

const page = await unified()
  .use(remarkParse)
  .use(remarkMan, {
    name: 'vhdx',
    section: 1,
    description,
    version: `vhdx ${version}`,
    manual: 'User Commands',
    date: new Date(date),
  })
  .process(markdown);
await writeFile(`${root}dist/vhdx.1`, String(page));
