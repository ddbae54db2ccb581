import type { WarningOptions } from '../base/options.js';
import type { VhdxDisk } from '../disk/disk.js';
import type { RuleCode } from '../rules.js';

const OVERRIDDEN: ReadonlySet<RuleCode> = new Set<RuleCode>(['parent-mismatch', 'parent-unverified']);

/** Reports each parent of a chain that was taken although it is not known to be the right one, before anything is written. */
export function warnOfOverrides(disk: VhdxDisk, { onWarning }: WarningOptions): void {
  for (let member: VhdxDisk | undefined = disk; member; member = member.parent) {
    const whose = member === disk ? '' : `${member.name ?? 'its parent'}: `;
    for (const { code, structure, message } of member.findings) {
      if (OVERRIDDEN.has(code)) onWarning?.(`${whose}${structure}: ${message}`);
    }
  }
}
