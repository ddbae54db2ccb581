/// <reference types="vite/client" />

/** All specs that a page can run: what imports each, by its path from the root of the checkout. */
export const specs = import.meta.glob(['/test/**/*.test.ts', '!/test/**/*.{node,page}.test.ts', '!/test/package/**']);
