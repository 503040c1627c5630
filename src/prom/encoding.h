/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content codings: choosing one from the Accept-Encoding header, and compressing with it. gzip needs
 * ISA-L and zstd needs libzstd; each is built in if its library was found at build time. Private to the
 * library.
 *
 * Thread rule: a struct prom_codec_ and a struct prom_bytes_ belong to one thread at a time.
 */
#pragma once

#include "prom/codec.h"

enum prom_encoding_ { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_ZSTD, N_ENCODINGS };

/* "identity", "gzip", "zstd". */
const char *prom_encoding_name_(enum prom_encoding_ encoding);

/* Was it built in? */
bool prom_encoding_built_(enum prom_encoding_ encoding);
bool prom_has_codecs_(void); /* any besides identity */

/*
 * The coding to answer with, by RFC 9110 section 12.5.3; `header` is the value of Accept-Encoding,
 * NULL if there was none. The heaviest one wins; of equal ones that which is made fastest. With
 * `small`, identity is taken wherever it is acceptable at all. -1 if none is: 406. What is not
 * syntax of that section is skipped.
 */
int prom_choose_encoding_(const char *header, bool small);

/* Replaces *out by `data` in a coding that is built in and is not identity. *state is made when it is
 * NULL and freed by prom_encoding_release_(). 0 or -ENOMEM. */
int prom_encode_(enum prom_encoding_ encoding, void **state, const char *data, size_t n,
                 struct prom_bytes_ *out);
void prom_encoding_release_(enum prom_encoding_ encoding, void *state);
