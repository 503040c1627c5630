/* SPDX-License-Identifier: Apache-2.0 */
/* The check operation of this backend (backend.h). Private to this folder. */
#pragma once

#include "backend/backend.h"

void fc_check(const struct settings *s, enum backend_check depth, struct backend_findings *report);
