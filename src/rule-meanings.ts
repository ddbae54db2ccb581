interface Meaning {
  /** The number or numbers of the rule in docs/rules.md, such as `83, 84`; empty for what has none. */
  readonly number: string;
  /** One sentence: what a violation of the rule means for the data. */
  readonly meaning: string;
}

const means = (number: string, meaning: string): Meaning => ({ number, meaning });

/** What the rules mean, by their codes. Apart from them because pages load it only when they show it. */
// biome-ignore format: a table, one rule a line
export const MEANINGS = {
  // File and headers
  'file-signature': means('1', 'This is not a VHDX file, or its first bytes were overwritten.'),
  'file-too-small': means('3', 'The file ends inside its own header section: it was truncated.'),
  'header-signature': means('4', 'This copy of the header is not valid; only a valid copy is used.'),
  'header-checksum': means('5', 'This copy of the header is damaged or half written; only a valid copy is used.'),
  'header-none-valid': means('6', 'Neither header is valid, so it is unknown whether the log must be replayed.'),
  'header-sequence-tie': means('8', 'Two different headers carry the same sequence number, so it is unknown which is current.'),
  'header-version': means('10', 'The format version of the file is not supported.'),
  'header-copies-differ': means('9', 'The older header describes an earlier state; only the current one is used.'),
  'log-version': means('11', 'The version of the log is not supported, so it cannot be replayed.'),
  'log-offset': means('12', 'The log has an impossible offset, so it cannot be replayed.'),
  'log-length': means('13, 14', 'The log has an impossible length, so it cannot be replayed.'),
  'log-outside-file': means('15', 'The file was truncated before the end of its log.'),
  'log-overlap': means('16', 'The log overlaps another structure; at most one of them is intact.'),

  // Region table
  'region-table-signature': means('20', 'This copy of the region table is not valid; only a valid copy is used.'),
  'region-table-checksum': means('20', 'This copy of the region table is damaged; only a valid copy is used.'),
  'region-table-none-valid': means('20', 'Neither region table is valid, so it is unknown where the metadata and the BAT are.'),
  'region-tables-differ': means('21', 'The two copies differ; the first is used.'),
  'region-table-reserved': means('23', 'Bits that must be zero are set; they are ignored.'),
  'region-entry-count': means('22', 'The table claims more entries than it has room for.'),
  'region-duplicate': means('24', 'One region is listed twice, so it is unknown which of the two is valid.'),
  'region-offset': means('25', 'A region has an impossible offset.'),
  'region-length': means('26', 'A region has an impossible length.'),
  'region-outside-file': means('27', 'The file was truncated before the end of a region.'),
  'region-overlap': means('28', 'Two structures overlap; at most one of them is intact.'),
  'region-unknown-required': means('29', 'The image cannot be read without a region that is unknown to this reader.'),
  'region-flags': means('31', 'Bits that must be zero are set; they are ignored.'),
  'region-missing': means('32', 'A region that is needed to find any data is not listed.'),

  // Metadata
  'metadata-signature': means('33', 'The metadata table was overwritten or never written.'),
  'metadata-reserved': means('34', 'Bits that must be zero are set; they are ignored.'),
  'metadata-entry-count': means('35', 'The table claims more entries than it may have.'),
  'metadata-duplicate': means('37', 'One item is listed twice, so it is unknown which of the two is valid.'),
  'metadata-item-id': means('38', 'An entry without an item id is ignored.'),
  'metadata-item-length': means('39', 'An item has an impossible length.'),
  'metadata-item-offset': means('40', 'An item is outside the metadata region.'),
  'metadata-item-overlap': means('41', 'Two items overlap; one of them may be damaged.'),
  'metadata-entry-reserved': means('42', 'Bits that must be zero are set; they are ignored.'),
  'metadata-unknown-required': means('43', 'The image cannot be read without an item that is unknown to this reader.'),
  'metadata-item-size': means('45', 'A known item does not have the length that the specification gives it.'),
  'metadata-item-missing': means('46', 'An item is missing without which the geometry of the disk is unknown.'),
  'metadata-item-absent': means('46', 'A required item is missing; reading does not depend on it.'),
  'metadata-item-flags': means('47', 'A known item carries the wrong flags; they are ignored.'),
  'incomplete-file': means('55', 'The program that created this image never finished creating it.'),
  'block-size': means('48', 'The block size is impossible, so no data can be found.'),
  'file-parameters-reserved': means('49', 'Bits that must be zero are set; they are ignored.'),
  'virtual-disk-size': means('53', 'The disk claims a size that no VHDX can have.'),
  'virtual-disk-size-alignment': means('53', 'The disk ends inside a sector; its last bytes can still be read.'),
  'virtual-disk-size-zero': means('53', 'The disk is empty.'),
  'logical-sector-size': means('51', 'The logical sector size is impossible, so no data can be found.'),
  'physical-sector-size': means('52', 'The physical sector size is impossible; the logical one is used instead.'),
  'parent-locator-missing': means('54', 'The image is differencing but does not identify its parent.'),
  'parent-locator-extra': means('54', 'The image names a parent but is not differencing; the parent is ignored.'),

  // BAT
  'bat-too-short': means('56', 'The BAT is too short for the blocks of the disk.'),
  'bat-reserved-bits': means('58', 'Bits that must be zero are set; they are ignored.'),
  'bat-reserved-state': means('59', 'The state of the block has no meaning, so it is unknown what the block holds.'),
  'bat-draft-unmapped': means('59', 'The block is unmapped as the 0.95 draft wrote it; it reads as zeros.'),
  'bat-partial-without-parent': means('60', 'The block is partially present, but the disk has no parent to hold the rest.'),
  'bat-offset-missing': means('61', 'The block has an offset inside the header section, so its data is lost or elsewhere.'),
  'bat-offset-range': means('63', 'The block has an offset past the end of any possible file.'),
  'bat-past-end': means('62', 'The block is past the end of the file: the file was truncated.'),
  'bat-overlap-structure': means('64', 'The block overlaps the log, the BAT, the metadata or another region.'),
  'bat-block-overlap': means('65', 'Two blocks share one place in the file: at most one of them holds its own data.'),
  'bat-unused-place': means('65b', 'A block keeps a place in the file that another block has, or that the file does not have, and nothing that is read depends on it.'),
  'bitmap-state': means('67', 'It is unknown where the sector bitmap is, and so which sectors are in this file.'),
  'bitmap-missing': means('69', 'A partially present block has no sector bitmap that says which sectors are in this file.'),
  'bitmap-unexpected': means('68', 'A disk without a parent has sector bitmap blocks; they are ignored.'),
  'leaked-space': means('', 'The file contains space that nothing refers to; no data is lost.'),

  // Log
  'log-replayed': means('97', 'The image was not closed cleanly; its log was replayed in memory, and all data is as its writer left it.'),
  'log-dirty': means('97', 'The image was not closed cleanly, and the caller did not allow its log to be replayed.'),
  'log-no-sequence': means('91', 'The image was not closed cleanly and its log is not usable: the file may be half written.'),
  'log-truncated-file': means('93', 'The file is shorter than it was when its log was written: data was cut off.'),
  'log-target': means('83, 84', 'The log writes to a place that no log may change; the image is damaged or malicious.'),
  'log-file-size': means('94', 'The log gives an invalid file size; it is used as far as possible.'),
  'log-too-large': means('17', 'The log is longer, or makes more changes, than this reader takes on.'),
  'log-dead': means('', 'The log holds old entries, which are ignored as the specification requires.'),

  // What is assumed if the caller asks for it
  'salvage-signature': means('1', 'The file does not begin as a VHDX file does; it is read as one because the caller asked for it.'),
  'salvage-header': means('6, 8', 'No header is certain; the state of the log and the identity of the image are unverified.'),
  'salvage-region-table': means('20', 'No region table is valid; if the one that is used is wrong, what is read is garbage.'),
  'salvage-log': means('91', 'The log is not replayed; what is read may be stale or half written.'),
  'salvage-truncated': means('93', 'The file was truncated; its log is replayed as far as the file goes, and what is past its end is lost.'),
  'salvage-possible': means('91', 'The image does not open, but what its structures still say can be read as unverified, if the caller asks for it.'),

  // Differencing
  'locator-type': means('100, 112', 'The parent is not a VHDX file, according to the image.'),
  'locator-bounds': means('101', 'The parent locator is damaged.'),
  'locator-text': means('102', 'A text of the parent locator is malformed; it is used as far as possible.'),
  'locator-reserved': means('102b', 'Bits that must be zero are set; they are ignored.'),
  'locator-duplicate-key': means('103', 'A key of the parent locator is repeated; the first is used.'),
  'locator-linkage': means('104', 'The image does not say which state of the parent it belongs to.'),
  'locator-no-path': means('107', 'The image does not say where its parent is; the caller must supply it.'),
  'parent-missing': means('', 'What this image does not hold itself is in a parent that is not available.'),
  'parent-mismatch': means('106', 'The parent was changed after the child was created, or is another disk: reading both together gives garbage.'),
  'parent-unverified': means('104', 'It is not recorded which state of which parent the image was created for, so no file can be verified to be its parent.'),
  'parent-sector-size': means('108', 'Parent and child have different logical sector sizes.'),
  'parent-cycle': means('111', 'The chain of parents contains a cycle.'),
  'parent-depth': means('111', 'The chain of parents is longer than any host creates.'),
  'parent-damaged': means('', 'A parent does not open, so what this image does not hold itself cannot be read.'),
  'parent-guessed': means('107', 'The parent was not at any path in the image; a file in the same folder has the right identity and is used.'),
  'parent-smaller': means('110', 'The parent is smaller than the child; past its end the child reads as zeros unless it holds data itself.'),

  // VHD of version 1
  'vhd-footer': means('V1', 'This is not a VHD, or its footer and the copy of it were overwritten.'),
  'vhd-footer-copy': means('V2', 'One of the two copies of the footer is damaged or is another; the one at the end is used if it is valid.'),
  'vhd-type': means('V3', 'The type or the version of the disk is not supported.'),
  'vhd-size': means('V4', 'The disk claims a size that no disk can have.'),
  'vhd-truncated': means('V5', 'The file is shorter than its disk: it was truncated.'),
  'vhd-geometry': means('V6', 'The geometry says another size than the disk has; QEMU believes the geometry of such an image and shows a smaller disk.'),
  'vhd-header': means('V7', 'The header is damaged or unsupported, so no data can be found.'),
  'vhd-bat': means('V8', 'The table of blocks is too short for the disk, or outside the file.'),
  'vhd-block': means('V9', 'The block is outside the file, or overlaps another block or a structure.'),
  'vhd-stray-bytes': means('V10', 'Sectors that were never written hold bytes; they read as zeros here, and other readers may show the bytes.'),
  'vhd-parent-size': means('V11', 'Parent and child are not of the same size.'),

  // Other programs
  'file-being-written': means('113', 'Another program has the file open for writing; what is read may be a mixture of old and new.'),
} as const satisfies Record<string, Meaning>;
