import { buildChecksumTables } from './crc32c-tables';

export { sectorBitmapEntry, translate } from './bat';
export { crc32c, crc32cCombine, crc32cSlicing, crc32cZeros } from './crc32c';
export { equalPrefix } from './difference';
export { memoryEnd } from './memory';
export { claimPage, dropPages, findPage, setPage } from './pages';
export { scanBat } from './scan';
export { countUnmarked, markRange, useMap } from './scan-map';
export { splitPartial } from './sector-bitmap';
export { addUsage } from './usage';
export { nonzeroPrefix, zeroPrefix } from './zero';

buildChecksumTables();
