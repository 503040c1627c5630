#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# src/image/suffixes.sh DESCRIPTION...: prints a C table of the runtimes and their suffixes, for clients of a
# remote daemon, which have no images.
set -eu
printf '#include "image/suffix.h"\n\nconst struct image_suffix image_suffixes[] = {\n'
for file; do
        printf '        {"%s", "%s"},\n' "$(sed -n 's/^NAME=//p' "$file")" \
                "$(sed -n 's/^SUFFIX=//p' "$file")"
done
printf '        {0, 0},\n};\n'
