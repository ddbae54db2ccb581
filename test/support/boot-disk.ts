import { asciiBytes, concatBytes, u64Bytes } from './encode-primitives.js';

/** Size of a sector in bytes. */
const SECTOR = 512;

/**
 * The first sector of a disk that a PC starts from. It reads the sector `lba` through the BIOS, writes `greeting` and
 * then the text in that sector to the first serial port, and halts. Where the disk cannot be read, it writes nothing.
 */
function bootSector(lba: number, greeting: string): Uint8Array {
  const program = [
    [0xfa], //             00      cli
    [0x31, 0xc0], //       01      xor ax, ax
    [0x8e, 0xd8], //       03      mov ds, ax
    [0x8e, 0xd0], //       05      mov ss, ax
    [0xbc, 0x00, 0x7c], // 07      mov sp, 7c00h      below this sector, which the BIOS has put at 7c00h
    [0xfc], //             0a      cld
    [0xfb], //             0b      sti
    [0xbe, 0x3a, 0x7c], // 0c      mov si, packet
    [0xb4, 0x42], //       0f      mov ah, 42h        extended read; the BIOS has left the drive in dl
    [0xcd, 0x13], //       11      int 13h
    [0x72, 0x0c], //       13      jc stop
    [0xbe, 0x4a, 0x7c], // 15      mov si, greeting
    [0xe8, 0x08, 0x00], // 18      call print
    [0xbe, 0x00, 0x7e], // 1b      mov si, 7e00h
    [0xe8, 0x02, 0x00], // 1e      call print
    [0xfa], //             21 stop: cli
    [0xf4], //             22      hlt
    [0xac], //             23 print: lodsb
    [0x84, 0xc0], //       24      test al, al
    [0x74, 0x11], //       26      jz done
    [0x88, 0xc4], //       28      mov ah, al
    [0xba, 0xfd, 0x03], // 2a      mov dx, 3fdh       line status of the serial port
    [0xec], //             2d wait: in al, dx
    [0xa8, 0x20], //       2e      test al, 20h       can it take a byte?
    [0x74, 0xfb], //       30      jz wait
    [0xb2, 0xf8], //       32      mov dl, f8h        3f8h: its data
    [0x88, 0xe0], //       34      mov al, ah
    [0xee], //             36      out dx, al
    [0xeb, 0xea], //       37      jmp print
    [0xc3], //             39 done: ret
    [0x10, 0x00, 0x01, 0x00, 0x00, 0x7e, 0x00, 0x00], // 3a packet: one sector to 0000:7e00h
  ];
  const sector = new Uint8Array(SECTOR);
  sector.set(concatBytes(Uint8Array.from(program.flat()), u64Bytes(lba), asciiBytes(`${greeting}\0`)));
  sector.set([0x55, 0xaa], SECTOR - 2);
  return sector;
}

/** The raw bytes of a disk of `size` bytes that a PC starts from, and that then writes `greeting` and `text`. */
export function bootDisk(size: number, lba: number, greeting: string, text: string): Uint8Array {
  const disk = new Uint8Array(size);
  disk.set(bootSector(lba, greeting));
  disk.set(asciiBytes(`${text}\0`), lba * SECTOR);
  return disk;
}
