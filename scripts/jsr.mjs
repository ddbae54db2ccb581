// @ts-check
/**
 * Makes the package for JSR in build/jsr out of dist, and has Deno check it as JSR does: `npm run jsr`. There the build is
 * published and not the sources, which name each other as the built files are called; each file says where its types are.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { copyFile, cp, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installRuntime, RUNTIMES } from './runtimes.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const target = join(root, 'build/jsr');
const { version, license, repository, dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
const [, owner] = /github\.com\/([^/]+)\//.exec(repository.url) ?? [];
const loader = '@assemblyscript/loader';
const doors = { '.': 'dist/index.js', './volumes': 'dist/volumes/index.js', './nbd': 'dist/nbd/index.js' };

if (!existsSync(join(root, 'dist/index.js'))) throw new Error('dist is not there: npm run build');
rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });

/** The modules that a file and what it imports name, by their built paths. @param {string} file @param {RegExp} pattern @param {Set<string>} found */
function follow(file, pattern, found) {
  if (found.has(file)) return;
  found.add(file);
  for (const [, from = ''] of readFileSync(file, 'utf8').matchAll(pattern)) {
    const next = join(dirname(file), file.endsWith('.d.ts') ? from.replace(/\.js$/, '.d.ts') : from);
    if (existsSync(next)) follow(next, pattern, found);
  }
}

const named = /(?:\bfrom|\bimport\()\s*['"](\.[^'"]+)['"]/g;
/** @type {Set<string>} */
const code = new Set();
/** @type {Set<string>} */
const types = new Set();
for (const door of Object.values(doors)) {
  follow(join(root, door), named, code);
  follow(join(root, door.replace(/\.js$/, '.d.ts')), named, types);
}
// What has nothing but types is named by types alone.
for (const own of types) code.add(own.replace(/\.d\.ts$/, '.js'));
for (const file of [...code, ...types]) {
  const to = join(target, relative(root, file));
  await cp(file, to, { recursive: true });
  const own = file.replace(/\.js$/, '.d.ts');
  if (file.endsWith('.js') && types.has(own))
    await writeFile(to, `/* @ts-self-types="./${basename(own)}" */\n${await readFile(file, 'utf8')}`);
}
for (const paper of ['README.md', 'CHANGELOG.md', 'LICENSE']) await copyFile(join(root, paper), join(target, paper));
const manifest = {
  name: `@${owner?.toLowerCase()}/vhdx`,
  version,
  license,
  exports: Object.fromEntries(Object.entries(doors).map(([door, file]) => [door, `./${file}`])),
  // The repository's list of what is not kept has this folder, and would leave all of it out.
  publish: { include: ['dist', '*.md', 'LICENSE', 'deno.json'], exclude: ['!dist', '!*.md', '!LICENSE', '!deno.json'] },
  imports: { [loader]: `npm:${loader}@${dependencies[loader]}` },
};
await writeFile(join(target, 'deno.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);

const deno = installRuntime(RUNTIMES.deno);
/** @param {string[]} args */
function check(args) {
  const { status } = spawnSync(deno, args, { cwd: target, stdio: 'inherit' });
  if (status !== 0) throw new Error(`deno ${args.join(' ')}: exit code ${status}`);
}

// What a user's program sees of the types.
const program = join(target, 'program.ts');
await writeFile(
  program,
  `import { openVhdx } from './dist/index.js';
import { openVolume } from './dist/volumes/index.js';
const disk = await openVhdx(new Uint8Array(3));
export const size: number = disk.size;
export const volume = await openVolume(disk);
// @ts-expect-error a number is no image
openVhdx(1);
`,
);
check(['check', 'program.ts']);
rmSync(program);
// Without its own check of the declarations, which looks at them after it has cut types out of them that others name.
check(['publish', '--dry-run', '--allow-dirty', '--no-check']);
