import { asciiBytes, concatBytes, u64Bytes } from './encode-primitives.js';

/** Size of a sector in bytes. */
const SECTOR = 512;

/**
 * The first sector of a disk that a PC starts from. It reads the sector `lba` through the BIOS, writes it to the sector
 * after it, writes `greeting` and then the text in that sector to the first serial port, and halts. Where the disk cannot
 * be read or written, it prints nothing.
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
    [0xbe, 0x48, 0x7c], // 0c      mov si, packet
    [0xb4, 0x42], //       0f      mov ah, 42h        extended read; the BIOS has left the drive in dl
    [0xcd, 0x13], //       11      int 13h
    [0x72, 0x1a], //       13      jc stop
    [0xff, 0x06, 0x50, 0x7c], // 15      inc word [packet + 8]
    [0xbe, 0x48, 0x7c], // 19      mov si, packet
    [0xb8, 0x00, 0x43], // 1c      mov ax, 4300h      extended write
    [0xcd, 0x13], //       1f      int 13h
    [0x72, 0x0c], //       21      jc stop
    [0xbe, 0x58, 0x7c], // 23      mov si, greeting
    [0xe8, 0x08, 0x00], // 26      call print
    [0xbe, 0x00, 0x7e], // 29      mov si, 7e00h
    [0xe8, 0x02, 0x00], // 2c      call print
    [0xfa], //             2f stop: cli
    [0xf4], //             30      hlt
    [0xac], //             31 print: lodsb
    [0x84, 0xc0], //       32      test al, al
    [0x74, 0x11], //       34      jz done
    [0x88, 0xc4], //       36      mov ah, al
    [0xba, 0xfd, 0x03], // 38      mov dx, 3fdh       line status of the serial port
    [0xec], //             3b wait: in al, dx
    [0xa8, 0x20], //       3c      test al, 20h       can it take a byte?
    [0x74, 0xfb], //       3e      jz wait
    [0xb2, 0xf8], //       40      mov dl, f8h        3f8h: its data
    [0x88, 0xe0], //       42      mov al, ah
    [0xee], //             44      out dx, al
    [0xeb, 0xea], //       45      jmp print
    [0xc3], //             47 done: ret
    [0x10, 0x00, 0x01, 0x00, 0x00, 0x7e, 0x00, 0x00], // 48 packet: one sector from or to 0000:7e00h
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
