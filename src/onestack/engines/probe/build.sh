#!/bin/sh
# Makes probe.bin (4 KiB) from probe.S; needs binutils.
set -eu
cd "$(dirname "$0")"
as --64 -o probe.o probe.S
ld -m elf_x86_64 -Ttext=0xff000 -e 0xff000 --oformat binary -o probe.bin probe.o
rm -f probe.o
