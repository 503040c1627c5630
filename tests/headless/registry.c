/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of build/tests/headless/vulcan, in place of the product's (backend/registry.h). */
#include "headless.h"

#include "backend/registry.h"

const struct backend_ops *const backend_registry[] = {&headless_backend, NULL};
