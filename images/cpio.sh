# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Writes cpio archives in the kernel's format (newc, Documentation/driver-api/early-userspace/
# buffer-format.rst) to stdout: always the same bytes for the same input, and device nodes without
# root, neither of which cpio(1) offers.

cpio_inode=0

# header NAME MODE(octal) SIZE MAJOR MINOR
cpio_header() {
        local name=$1 mode=$2 size=$3 major=${4:-0} minor=${5:-0} n
        cpio_inode=$((cpio_inode + 1))
        n=$((${#name} + 1))
        printf '070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\0' \
                "$cpio_inode" "$((8#$mode))" 0 0 1 0 "$size" 0 0 "$major" "$minor" "$n" 0 "$name"
        cpio_align $((110 + n))
}

# Fills up to a multiple of 4 after LENGTH bytes.
cpio_align() {
        local gap=$(((4 - $1 % 4) % 4))
        [ $gap = 0 ] || head -c $gap /dev/zero
}

cpio_dir() { cpio_header "$1" 40755 0; }

# cpio_char NAME PERMISSIONS MAJOR MINOR
cpio_char() { cpio_header "$1" "20$2" 0 "$3" "$4"; }

# cpio_file NAME PERMISSIONS FILE
cpio_file() {
        local size
        size=$(stat -c %s "$3")
        cpio_header "$1" "100$2" "$size"
        cat "$3"
        cpio_align "$size"
}

cpio_end() { cpio_header 'TRAILER!!!' 0 0; }

# Copies stdin and fills it up to a multiple of 512, so that another archive may follow.
cpio_pad() { dd obs=512 conv=sync status=none iflag=fullblock ibs=512; }
