/* SPDX-License-Identifier: Apache-2.0 */
/* The content codings that are built in, and choosing one by the Accept-Encoding header. */
#include "prom/encoding.h"

#include "prom/codec.h"
#include "prom/prom.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef PROM_HAVE_ISAL
#define GZIP &prom_gzip_codec_
#else
#define GZIP NULL
#endif
#ifdef PROM_HAVE_ZSTD
#define ZSTD &prom_zstd_codec_
#else
#define ZSTD NULL
#endif

static const struct encoding {
        const char *name;
        const struct prom_codec_ *codec; /* NULL: not built in, or identity */
} encodings[N_ENCODINGS] = {
        [ENCODING_IDENTITY] = {"identity", NULL},
        [ENCODING_GZIP] = {"gzip", GZIP},
        [ENCODING_ZSTD] = {"zstd", ZSTD},
};

/* The fastest first. For the same size ISA-L's gzip takes two thirds of the time of zstd's level
 * 1. */
static const enum prom_encoding_ preference[N_ENCODINGS] = {ENCODING_GZIP, ENCODING_ZSTD,
                                                            ENCODING_IDENTITY};

const char *prom_encoding_name_(enum prom_encoding_ encoding)
{
        return encodings[encoding].name;
}

bool prom_encoding_built_(enum prom_encoding_ encoding)
{
        return encoding == ENCODING_IDENTITY || encodings[encoding].codec;
}

bool prom_has_codecs_(void)
{
        return encodings[ENCODING_GZIP].codec || encodings[ENCODING_ZSTD].codec;
}

/* ---- Accept-Encoding ---------------------------------------------------------------------- */

enum {
        WEIGHT_UNSET = -1,
        WEIGHT_LEAST = 1, /* of identity, which is acceptable unless excluded */
        WEIGHT_ONE = 2000,
        WEIGHT_UNIT = 2, /* of q=0.001; leaves room below for WEIGHT_LEAST */
        OTHERS = N_ENCODINGS,
};

static size_t skip_space(const char *s)
{
        return strspn(s, " \t");
}

/* Parses "0.125", RFC 9110 section 12.4.2. Digits after the third are ignored. WEIGHT_UNSET if
 * malformed. */
static int parse_qvalue(const char *s, size_t n)
{
        int weight = 0, unit = 1000 * WEIGHT_UNIT;
        if (n == 0 || (s[0] != '0' && s[0] != '1'))
                return WEIGHT_UNSET;
        weight = (s[0] - '0') * unit;
        if (n > 1 && s[1] != '.')
                return WEIGHT_UNSET;
        for (size_t i = 2; i < n; i++) {
                if (s[i] < '0' || s[i] > '9')
                        return WEIGHT_UNSET;
                unit /= 10;
                weight += (s[i] - '0') * (unit < WEIGHT_UNIT ? 0 : unit);
        }
        return weight < WEIGHT_ONE ? weight : WEIGHT_ONE;
}

/* Finds the weight among the parameters of an element, which end at `end`. WEIGHT_ONE if there is
 * none. */
static int find_weight(const char *s, const char *end)
{
        while (s < end && *s == ';') {
                s++;
                s += skip_space(s);
                const char *stop = s + strcspn(s, ";,");
                const char *last = stop;
                while (last > s && (last[-1] == ' ' || last[-1] == '\t'))
                        last--;
                if (last - s >= 2 && (*s == 'q' || *s == 'Q') && s[1] == '=')
                        return parse_qvalue(s + 2, (size_t)(last - s) - 2);
                s = stop;
        }
        return WEIGHT_ONE;
}

static int find_encoding(const char *name, size_t n)
{
        if (n == 1 && *name == '*')
                return OTHERS;
        if (n == strlen("x-gzip") && strncasecmp(name, "x-gzip", n) == 0)
                return ENCODING_GZIP; /* RFC 9110 section 8.4.1.3 */
        for (int i = 0; i < N_ENCODINGS; i++)
                if (n == strlen(encodings[i].name) && strncasecmp(name, encodings[i].name, n) == 0)
                        return i;
        return -1;
}

/* Reads the weights of the codings and of "*". The first mention of each counts. */
static void parse_header(const char *header, int weights[N_ENCODINGS + 1])
{
        for (const char *s = header; *s;) {
                const char *end;
                s += skip_space(s);
                end = s + strcspn(s, ",");
                size_t n = strcspn(s, " \t;,");
                int encoding = find_encoding(s, n);
                const char *parameters = s + n + skip_space(s + n);
                if (encoding >= 0 && weights[encoding] == WEIGHT_UNSET &&
                    (parameters == end || *parameters == ';'))
                        weights[encoding] = find_weight(parameters, end);
                s = *end ? end + 1 : end;
        }
}

int prom_choose_encoding_(const char *header, bool small)
{
        int weights[N_ENCODINGS + 1], best = -1, best_weight = 0;
        if (!header)
                return ENCODING_IDENTITY;
        for (int i = 0; i <= OTHERS; i++)
                weights[i] = WEIGHT_UNSET;
        parse_header(header, weights);

        int *identity = &weights[ENCODING_IDENTITY];
        if (*identity == WEIGHT_UNSET)
                *identity = weights[OTHERS] == 0 ? 0 : WEIGHT_LEAST;
        if (small && *identity > 0)
                return ENCODING_IDENTITY;
        for (int i = 0; i < N_ENCODINGS; i++) {
                enum prom_encoding_ encoding = preference[i];
                int weight = weights[encoding];
                if (weight == WEIGHT_UNSET)
                        weight = weights[OTHERS];
                if (prom_encoding_built_(encoding) && weight > best_weight) {
                        best = (int)encoding;
                        best_weight = weight;
                }
        }
        return best;
}

/* ---- compressing ---------------------------------------------------------------------------- */

int prom_encode_(enum prom_encoding_ encoding, void **state, const char *data, size_t n,
                 struct prom_bytes_ *out)
{
        const struct prom_codec_ *codec = encodings[encoding].codec;
        if (!codec)
                return -ENOTSUP;
        if (!*state)
                *state = codec->state_new();
        return *state ? codec->run(*state, data, n, out) : -ENOMEM;
}

void prom_encoding_release_(enum prom_encoding_ encoding, void *state)
{
        if (state)
                encodings[encoding].codec->state_free(state);
}

int prom_gzip_(const char *data, size_t n, char **ret_data, size_t *ret_n)
{
        struct prom_bytes_ bytes = {0};
        void *state = NULL;
        const int r = prom_encode_(ENCODING_GZIP, &state, data, n, &bytes);
        prom_encoding_release_(ENCODING_GZIP, state);
        if (r < 0) {
                prom_bytes_release_(&bytes);
                return r;
        }
        *ret_data = bytes.data;
        *ret_n = bytes.len;
        return 0;
}
