export type { Progress, ProgressOptions, RangeOptions, Shard, WarningOptions } from './base/options.js';
export { VERSION } from './base/version.js';
export { type Bytes, Crc32c, crc32c, crc32cCombine, type LentBytes, lendBytes } from './core/crc32c.js';
export type { CoreModule } from './core/instance.js';
export { initCore } from './core/load.js';
export type { CheckOptions, CheckReport, CheckStatus } from './disk/check.js';
export { checkVhdx } from './disk/check-vhdx.js';
export { checksumFile } from './disk/checksum.js';
export { compareDisks } from './disk/compare.js';
export { type DetectedFormat, detectFormat } from './disk/detect-format.js';
export { VhdxDisk } from './disk/disk.js';
export {
  type ExportedDisk,
  type ExportFormat,
  type ExportOptions,
  exportDisk,
  exportSize,
  exportStream,
} from './disk/export.js';
export { isVhdx, openVhdx } from './disk/open.js';
export type { OpenOptions, ParentOption, ParentRequest } from './disk/open-options.js';
export type { DamagedRange } from './disk/salvage.js';
export type { DiskStreamOptions } from './disk/stream.js';
export type { Usage, UsageOptions } from './disk/usage.js';
export type { MergeOptions, MergeReport } from './edit/chain/merge-options.js';
export type { RebaseOptions, RebaseReport } from './edit/chain/rebase-options.js';
export { findChildren } from './edit/children.js';
export type { CompactOptions, CompactReport, FreeRange } from './edit/compact/compact-report.js';
export { compactVhdx } from './edit/compact.js';
export type { CreateOptions } from './edit/create/create-options.js';
export type { ForwardInput, StreamOptions, VhdxStream, WriteVhdxOptions } from './edit/create/write-options.js';
export { createVhdx } from './edit/create.js';
export { editVhdx } from './edit/edit.js';
export { lockForWriting } from './edit/lock-for-writing.js';
export { mergeVhdx } from './edit/merge.js';
export { rebaseVhdx } from './edit/rebase.js';
export type { Repair, RepairKind, RepairOptions, RepairReport } from './edit/repair/repair-report.js';
export { repairVhdx } from './edit/repair.js';
export type { ResizeOptions, ResizeReport } from './edit/resize/resize-report.js';
export { resizeVhdx } from './edit/resize.js';
export { setVhdx } from './edit/set.js';
export type { SetOptions } from './edit/set-options.js';
export type { BrowserFileHandle, VhdxTarget } from './edit/target.js';
export { vhdxStream } from './edit/vhdx-stream.js';
export type { EditOptions } from './edit/writable/edit-options.js';
export type { WritableVhdxDisk, WriteOptions } from './edit/writable/writable-disk.js';
export { writeVhdx } from './edit/write-vhdx.js';
export {
  type Advice,
  type Hint,
  type OperationCode,
  VhdxError,
  type VhdxErrorCode,
  type VhdxErrorDetails,
} from './errors.js';
export type { BlockCounts } from './image/block-counts.js';
export type { ReplayMode } from './image/examination.js';
export type { DiskInfo, DiskType } from './image/info.js';
export type { FileHandleLike, OpenFileOptions } from './io/file.js';
export type { AllowRedirect } from './io/http/answer.js';
export type { RequestCookies, RequestHeaders } from './io/http/request-options.js';
export type { HttpOptions } from './io/http/source.js';
export type { LockOptions, WriteLock } from './io/lock.js';
export { memoryFile } from './io/memory.js';
export type { SourceOptions } from './io/named-input.js';
export { openFile, openSource, type VhdxInput } from './io/open.js';
export type { OpfsFileHandle, SyncAccessHandleLike } from './io/opfs.js';
export type {
  Extent,
  RandomAccessFile,
  RandomAccessSink,
  RandomAccessSource,
  ReadOptions,
} from './io/random-access.js';
export { slice } from './io/slice.js';
export type { PickedFileHandle, SwapFile } from './io/swap-file.js';
export type { ReplaySummary } from './log/plan.js';
export { type Facts, type Finding, meaningOf, type Place, type RuleCode, type Severity } from './rules.js';
export { combineChecks, shardRange } from './shard/shard.js';
export type { DiskFormat, OpenDisk, OpenDiskOptions } from './vhd/disk-format.js';
export { openDisk } from './vhd/open-disk.js';
export type { VhdDisk, VhdInfo } from './vhd/vhd-disk.js';
