/**
 * The modules that Node, Bun and Deno have built in; undefined in a browser.
 * Asked for at run time and never imported, so that a bundle for the browser has no trace of them.
 */
export function nodeModule<Name extends 'node:fs' | 'node:path' | 'node:url'>(name: Name) {
  // A page may carry a `process` of its own that knows nothing of modules.
  const runtime: Partial<NodeJS.Process> | undefined = globalThis.process;
  return runtime?.getBuiltinModule?.(name);
}
