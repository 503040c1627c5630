/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a coding by Accept-Encoding, and compressing. */
#include "prom/encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>
#if __has_include(<zstd.h>)
#include <zstd.h>
#endif

enum { NONE = -1, IDENTITY = ENCODING_IDENTITY, GZIP = ENCODING_GZIP, ZSTD = ENCODING_ZSTD };

/* The coding of a large and of a small body, if gzip and zstd are built in. */
static const struct {
        const char *header;
        int large, small;
} choices[] = {
        {NULL, IDENTITY, IDENTITY},
        {"", IDENTITY, IDENTITY},
        {"gzip", GZIP, IDENTITY}, /* Prometheus */
        {"gzip, deflate, br, zstd", GZIP, IDENTITY},
        {"zstd", ZSTD, IDENTITY},
        {"GZip", GZIP, IDENTITY},
        {"x-gzip", GZIP, IDENTITY},
        {"deflate", IDENTITY, IDENTITY},
        {"gzip2", IDENTITY, IDENTITY},
        {"gzip;q=0.5, zstd;q=0.8", ZSTD, IDENTITY},
        {"gzip;q=0.8,zstd;q=0.5", GZIP, IDENTITY},
        {"gzip;q=0.001", GZIP, IDENTITY},
        {"gzip;q=0", IDENTITY, IDENTITY},
        {"gzip;q=0.000", IDENTITY, IDENTITY},
        {"gzip;q=1.000", GZIP, IDENTITY},
        {"gzip;Q=0.5,zstd;q=0.4", GZIP, IDENTITY},
        {"\tgzip ; q=0.5 \t,\tzstd ; q=0.4", GZIP, IDENTITY},
        {"identity", IDENTITY, IDENTITY},
        {"gzip;q=0.5, identity", IDENTITY, IDENTITY},
        {"gzip;q=0.5, identity;q=0.4", GZIP, IDENTITY},
        {"gzip, identity", GZIP, IDENTITY},
        {"identity;q=0", NONE, NONE},
        {"identity;q=0, gzip", GZIP, GZIP},
        {"identity;q=0, br", NONE, NONE},
        {"*", GZIP, IDENTITY},
        {"*;q=0", NONE, NONE},
        {"*;q=0, identity", IDENTITY, IDENTITY},
        {"*;q=0, gzip", GZIP, GZIP},
        {"*;q=0.1, identity;q=0", GZIP, GZIP},
        {"gzip;q=0, *", ZSTD, IDENTITY},
        {"gzip;q=0, zstd;q=0, *;q=0.1", IDENTITY, IDENTITY},
        {"identity;q=0.5, *;q=0", IDENTITY, IDENTITY},
        {",,gzip,,", GZIP, IDENTITY},
        /* Malformed elements are ignored. */
        {"gzip;q=", IDENTITY, IDENTITY},
        {"gzip;q=x", IDENTITY, IDENTITY},
        {"gzip;q=2", IDENTITY, IDENTITY},
        {"gzip;q=-1", IDENTITY, IDENTITY},
        {"gzip;q=0x", IDENTITY, IDENTITY},
        {"gzip;q=.5", IDENTITY, IDENTITY},
        {"gzip zstd", IDENTITY, IDENTITY},
        {"gzip;level=9", GZIP, IDENTITY},
        {"gzip;level=9;q=0", IDENTITY, IDENTITY},
        {"gzip;", GZIP, IDENTITY},
        {";q=1", IDENTITY, IDENTITY},
        {"gzip;q=0.12345, zstd;q=0.123", GZIP, IDENTITY},
        {"gzip;q=0.9999999999999999999999999", GZIP, IDENTITY},
        /* The first mention counts. */
        {"gzip;q=0, gzip", IDENTITY, IDENTITY},
};

static void the_coding_follows_accept_encoding(void **state)
{
        if (!prom_encoding_built_(ENCODING_GZIP) || !prom_encoding_built_(ENCODING_ZSTD)) {
                print_message("skip: gzip or zstd is not built in\n");
                skip();
        }
        for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
                int large = prom_choose_encoding_(choices[i].header, false);
                int small = prom_choose_encoding_(choices[i].header, true);
                if (large != choices[i].large || small != choices[i].small)
                        fail_msg("\"%s\": %d and %d, not %d and %d", choices[i].header, large,
                                 small, choices[i].large, choices[i].small);
        }
}

/* ---- round trips ---- */

static size_t gunzip(const struct prom_bytes_ *bytes, char *out, size_t size)
{
        z_stream z = {.next_in = (Bytef *)bytes->data,
                      .avail_in = (uInt)bytes->len,
                      .next_out = (Bytef *)out,
                      .avail_out = (uInt)size};
        assert_int_equal(inflateInit2(&z, 16 + 15), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        assert_int_equal(z.avail_in, 0);
        inflateEnd(&z);
        return size - z.avail_out;
}

static size_t decode(enum prom_encoding_ encoding, const struct prom_bytes_ *bytes, char *out,
                     size_t size)
{
#if __has_include(<zstd.h>)
        if (encoding == ENCODING_ZSTD)
                return ZSTD_decompress(out, size, bytes->data, bytes->len);
#endif
        return gunzip(bytes, out, size);
}

/* Text that resembles metrics, or incompressible bytes. */
static void fill(char *out, size_t n, bool noise)
{
        static const char line[] = "vulcan_http_requests_total{method=\"GET\"} ";
        uint32_t random = 12345;
        for (size_t i = 0; i < n; i++) {
                random = random * 1664525 + 1013904223;
                out[i] = noise || i % 50 > 42 ? (char)(random >> 24) : line[i % (sizeof(line) - 1)];
        }
}

static void round_trip(enum prom_encoding_ encoding)
{
        static const size_t sizes[] = {0, 1, 100, 4096, 300000, 3000000, 77};
        struct prom_bytes_ bytes = {0};
        void *memory = NULL;
        char *text = malloc(3000000), *back = malloc(3000001);
        for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
                size_t n = sizes[i / 2];
                fill(text, n, i % 2);
                assert_int_equal(prom_encode_(encoding, &memory, text, n, &bytes), 0);
                assert_int_equal(decode(encoding, &bytes, back, n + 1), n);
                assert_memory_equal(back, text, n);
                if (n > 100 && i % 2 == 0)
                        assert_in_range(bytes.len, 1, n / 2);
                else
                        assert_in_range(bytes.len, 1, n + n / 100 + 64);
        }
        free(text);
        free(back);
        prom_bytes_release_(&bytes);
        prom_encoding_release_(encoding, memory);
}

static void gzip_decompresses_to_the_original(void **state)
{
        if (!prom_encoding_built_(ENCODING_GZIP)) {
                print_message("skip: gzip is not built in\n");
                skip();
        }
        round_trip(ENCODING_GZIP);
}

static void zstd_decompresses_to_the_original(void **state)
{
        if (!prom_encoding_built_(ENCODING_ZSTD)) {
                print_message("skip: zstd is not built in\n");
                skip();
        }
        round_trip(ENCODING_ZSTD);
}

static void compressing_again_reuses_memory(void **state)
{
        enum { SIZE = 200000 };
        char *text = malloc(SIZE);
        fill(text, SIZE, false);
        for (int e = ENCODING_GZIP; e < N_ENCODINGS; e++) {
                struct prom_bytes_ bytes = {0};
                void *memory = NULL, *first;
                if (!prom_encoding_built_(e))
                        continue;
                assert_int_equal(prom_encode_(e, &memory, text, SIZE, &bytes), 0);
                first = memory;
                size_t len = bytes.len, cap = bytes.cap;
                for (int i = 0; i < 3; i++)
                        assert_int_equal(prom_encode_(e, &memory, text, SIZE, &bytes), 0);
                assert_ptr_equal(memory, first);
                assert_int_equal(bytes.len, len);
                assert_int_equal(bytes.cap, cap);
                prom_bytes_release_(&bytes);
                assert_null(bytes.data);
                prom_encoding_release_(e, memory);
        }
        prom_encoding_release_(ENCODING_GZIP, NULL);
        free(text);
}

static void identity_cannot_be_encoded(void **state)
{
        struct prom_bytes_ bytes = {0};
        void *memory = NULL;
        assert_true(prom_encode_(ENCODING_IDENTITY, &memory, "x", 1, &bytes) < 0);
        assert_null(memory);
        assert_null(bytes.data);
        assert_true(prom_encoding_built_(ENCODING_IDENTITY));
        assert_string_equal(prom_encoding_name_(ENCODING_GZIP), "gzip");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_coding_follows_accept_encoding),
                cmocka_unit_test(gzip_decompresses_to_the_original),
                cmocka_unit_test(zstd_decompresses_to_the_original),
                cmocka_unit_test(compressing_again_reuses_memory),
                cmocka_unit_test(identity_cannot_be_encoded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
