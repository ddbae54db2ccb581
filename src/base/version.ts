/** The version of this library, which is that of its package.json. */
export const VERSION = '0.2.0';
