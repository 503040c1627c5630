/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of a zip that libarchive does not make: that the directory is complete, that its names
 * match the headers before the entries, and the checksums of symbolic links. libarchive verifies
 * the checksums of files. The format is described in PKWARE's APPNOTE.TXT 6.3.10, section 4.3.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

/*
 * Checks the n bytes of a whole zip. 0, or -EPROTO with a message about the damage. A zip with more
 * than 65534 entries (zip64) gets fewer checks.
 */
int zip_check(const void *bytes, size_t n, struct err *err);
