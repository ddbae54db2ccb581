/** 1,024 bytes. */
export const KiB = 1024;
/** 1,024 KiB, the unit in which everything after the header section is aligned. */
export const MiB = 1024 * KiB;
/** 1,024 MiB. */
const GiB = 1024 * MiB;
/** 1,024 GiB. */
export const TiB = 1024 * GiB;
