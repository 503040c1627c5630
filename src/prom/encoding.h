/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content codings: choosing one from the Accept-Encoding header, and compressing with it. gzip
 * needs ISA-L and zstd needs libzstd; each is built in if its library was found at build time.
 * Private to the library.
 *
 * The state and the output of prom_encode_() belong to one thread at a time; the rest is constant.
 */
#pragma once

#include "prom/codec.h"

enum prom_encoding_ { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_ZSTD, N_ENCODINGS };

/* "identity", "gzip", "zstd". */
const char *prom_encoding_name_(enum prom_encoding_ encoding);

/* Whether the coding is built in. Identity is. */
bool prom_encoding_built_(enum prom_encoding_ encoding);

/* Whether any coding besides identity is. */
bool prom_has_codecs_(void);

/*
 * Chooses the coding of a response by RFC 9110 section 12.5.3. `header` is the value of
 * Accept-Encoding, NULL if there is none. The coding with the highest weight wins; of several, the
 * fastest. For a `small` body identity wins whenever it is acceptable. Malformed elements are
 * ignored. -1 if no coding is acceptable.
 */
int prom_choose_encoding_(const char *header, bool small);

/* Replaces *out by the data, compressed. Makes *state if it is NULL; prom_encoding_release_() frees
 * it. 0,
 * -ENOMEM, -ENOTSUP for identity and for codings that are not built in. */
int prom_encode_(enum prom_encoding_ encoding, void **state, const char *data, size_t n,
                 struct prom_bytes_ *out);
void prom_encoding_release_(enum prom_encoding_ encoding, void *state);
