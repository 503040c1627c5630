/* SPDX-License-Identifier: Apache-2.0 */
/* Within image: the runtimes of images/runtimes and their suffixes (suffixes.sh makes the table). */
#pragma once

struct image_suffix {
        const char *runtime;  /* NULL ends the table */
        const char *suffixes; /* words ".py" */
};

extern const struct image_suffix image_suffixes[];
