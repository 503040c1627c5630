/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libarchive leaves unchecked of a zip: that its directory is complete, that the names there are
 * those before the entries, and the checksums of symbolic links. (libarchive verifies the checksums
 * of files.) APPNOTE.TXT 6.3.10 of PKWARE, section 4.3, describes the format.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

/*
 * Checks the n bytes of a whole zip. 0, or -EPROTO with a message that says what is wrong. Zips with
 * more than 65534 entries (zip64) pass with fewer checks.
 */
int zip_check(const void *bytes, size_t n, struct err *err);
