import { VhdxError } from '../../errors.js';

/** A structure that is not what it must be. */
export const damaged = (structure: string, reason: string): VhdxError =>
  new VhdxError('file-system-damaged', `${structure}: ${reason}`, { structure });

/** Something that is right and is not read here. */
export const unsupported = (reason: string): VhdxError => new VhdxError('file-system-unsupported', reason);

/** A number in hexadecimal, as structures have it. */
export const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
