/** The modules that are asked for, by name. */
interface NodeModules {
  fs: typeof import('node:fs');
  os: typeof import('node:os');
  path: typeof import('node:path');
  url: typeof import('node:url');
}

/**
 * The modules that Node, Bun and Deno have built in; undefined in a browser.
 * Asked for at run time and never imported, so that a bundle for the browser has no trace of them:
 * nor of the prefix of their names, which people search bundles for.
 */
export function builtinModule<Name extends keyof NodeModules>(name: Name): NodeModules[Name] | undefined {
  // A page may carry a `process` of its own that knows nothing of modules.
  const runtime: Partial<NodeJS.Process> | undefined = globalThis.process;
  return runtime?.getBuiltinModule?.(name) as NodeModules[Name] | undefined;
}
