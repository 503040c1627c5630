/* SPDX-License-Identifier: Apache-2.0 */
/* The runtimes of images/runtimes and their suffixes, at build time; suffixes.sh makes the table.
 * Private to this folder. */
#pragma once

struct image_suffix {
        const char *runtime;  /* NULL ends the table */
        const char *suffixes; /* words such as ".py" */
};

extern const struct image_suffix image_suffixes[];
