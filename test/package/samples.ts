import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { root } from './module-graph.js';

/** A piece of code in one of the project's papers. */
export interface Sample {
  /** The paper and the line that it begins in, such as `docs/guide/open.md:10`. */
  readonly place: string;
  /** The paper without its ending: samples of one paper can import each other. */
  readonly folder: string;
  /** What it is called in that folder; samples that have a name are run by those that import them. */
  readonly name: string;
  readonly isNamed: boolean;
  readonly language: 'ts' | 'sh';
  /** Whether it runs in a page. */
  readonly browser: boolean;
  /** The images that are chosen in its page. */
  readonly images: readonly string[];
  readonly text: string;
  /** Lines that it prints, as its comments say: `// → 42`, or `# → 42` in a shell. */
  readonly output: readonly string[];
}

/** The papers whose samples are run, as paths from the root. */
export const papers = [
  'README.md',
  'docs/index.md',
  ...readdirSync(join(root, 'docs/guide')).map((name) => `docs/guide/${name}`),
];

/** Languages of what is shown and not run. */
const SHOWN = new Set(['', 'http']);

/** The samples of a paper. Throws for a language that is not run. */
export function samplesOf(paper: string): Sample[] {
  const text = readFileSync(join(root, paper), 'utf8');
  const found: Sample[] = [];
  for (const match of text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)) {
    const [, info = '', code = ''] = match;
    const [language = '', ...words] = info.split(' ');
    const line = text.slice(0, match.index).split('\n').length;
    if (SHOWN.has(language)) continue;
    if (language !== 'ts' && language !== 'sh') throw new Error(`${paper}:${line}: ${language} is not run`);
    const given = words.find((word) => word.endsWith('.ts'));
    const arrows = [...code.matchAll(/(?:\/\/|#) → (.*)$/gm)].map(([, said = '']) => said);
    found.push({
      place: `${paper}:${line}`,
      folder: posix.basename(paper, '.md').toLowerCase(),
      name: given ?? `line-${line}.${language}`,
      isNamed: given !== undefined,
      language,
      browser: words.includes('browser'),
      images: words.filter((word) => word.endsWith('vhdx')),
      text: code,
      output: arrows,
    });
  }
  return found;
}
