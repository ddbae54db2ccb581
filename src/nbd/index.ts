export type { NbdExport, WritableNbdDisk } from './export.js';
export { type NbdServer, type NbdServerOptions, type NbdTls, serveNbd } from './server.js';
