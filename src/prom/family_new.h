/* SPDX-License-Identifier: Apache-2.0 */
/* Families are made from their descriptions, and freed. */
#pragma once

#include "prom/family.h"

/* Makes a family that is in no registry yet. 0, -ENOMEM, -ENOSPC, with the message. */
int prom_family_new_(const struct prom_desc *desc, struct prom_family **ret,
                     struct prom_error *error);
void prom_family_free_(struct prom_family *family);
