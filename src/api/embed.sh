#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes a C file of a file: NAME (its bytes) and NAME_size.
#
#   embed.sh INPUT OUTPUT NAME
set -eu
{
        printf '#include "api/openapi.h"\n\nconst unsigned char %s[] = {' "$3"
        od -An -v -tx1 "$1" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
        printf '};\nconst size_t %s_size = sizeof(%s);\n' "$3" "$3"
} >"$2"
