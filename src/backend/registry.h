/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backends of this program, by name. The build makes the list from the names in
 * src/backend/meson.build: backend NAME is the folder src/backend/NAME, whose meson.build names its
 * sources, and which defines `const struct backend_ops NAME_backend`.
 *
 * Thread rule: const data.
 */
#pragma once

#include "backend/backend.h"

/* In the order in which isolation "auto" asks them; NULL ends the list. A program that defines its
 * own list replaces this one: the linker takes the definition of the program before a library's. */
extern const struct backend_ops *const backend_registry[];
