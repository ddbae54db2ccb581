"""What libvhdi's Python binding takes: libvhdi.py reads IMAGE COUNT, or libvhdi.py convert IMAGE OUT"""
import sys
import time

import pyvhdi

MIB = 1 << 20
question, path = sys.argv[1:3]
disk = pyvhdi.file()
disk.open(path)

if question == "reads":
    count = int(sys.argv[3])
    size, state, offsets = disk.get_media_size(), 1, []
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0xFFFFFFFF
        offsets.append((state >> 8) % (size // 4096) * 4096)
    start = time.perf_counter()
    for offset in offsets:
        disk.read_buffer_at_offset(4096, offset)
    print(time.perf_counter() - start)
else:
    with open(sys.argv[3], "wb") as out:
        size = disk.get_media_size()
        for offset in range(0, size, MIB):
            out.write(disk.read_buffer_at_offset(min(MIB, size - offset), offset))
