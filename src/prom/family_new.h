/* SPDX-License-Identifier: Apache-2.0 */
/* Creating a family from its description, and freeing it. */
#pragma once

#include "prom/family.h"

/* Creates a family that is in no registry yet, from a description that prom_check_desc_() accepts.
 * 0;
 * -ENOMEM with a message. */
int prom_family_new_(const struct prom_desc *desc, struct prom_family **ret,
                     struct prom_error *error);
void prom_family_free_(struct prom_family *family);
