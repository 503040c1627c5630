/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies with Content-Encoding: gzip: complete, damaged, expanding without bound, or in another
 * coding. */
#include "http_fixture.h"

#include "http/inflate.h"

#include <errno.h>
#include <stdatomic.h>
#include <zlib.h>

enum { BODY_MAX = 1 << 20, BOMB = 64 << 20 };

/* Compresses `n` bytes of `c`, or of a text if c is 0. */
static size_t pack(const char *text, size_t n, char *ret, size_t size)
{
        z_stream z = {0};

        assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        z.next_in = (Bytef *)(uintptr_t)text;
        z.avail_in = (uInt)n;
        z.next_out = (Bytef *)ret;
        z.avail_out = (uInt)size;
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        n = z.total_out;
        deflateEnd(&z);
        return n;
}

static int keep(void *ctx, const char *bytes, size_t n)
{
        return buf_add(ctx, bytes, n);
}

/* In pieces of several sizes. */
static int decode(const char *bytes, size_t n, size_t piece, struct buf *ret, struct err *err)
{
        struct http_inflate *z = http_inflate_new();
        int r = 0;

        *ret = BUF_INIT(BODY_MAX);
        for (size_t at = 0; at < n && r == 0; at += piece)
                r = http_inflate_feed(z, bytes + at, n - at < piece ? n - at : piece, keep, ret,
                                      err);
        if (r == 0)
                r = http_inflate_end(z, err);
        http_inflate_free(z);
        return r;
}

static char text[100000];

static int set_up(void **state)
{
        for (size_t i = 0; i < sizeof(text); i++)
                text[i] = (char)('a' + i * i % 23);
        return 0;
}

static void a_compressed_body_is_decoded(void **state)
{
        static const size_t pieces[] = {1, 7, 1000, 1 << 20};
        char packed[200000];
        size_t n = pack(text, sizeof(text), packed, sizeof(packed));
        struct err err = ERR_INIT;
        struct buf out;

        for (size_t i = 0; i < 4; i++) {
                if (decode(packed, n, pieces[i], &out, &err) < 0)
                        fail_msg("%s", err.msg);
                assert_int_equal(out.len, sizeof(text));
                assert_memory_equal(out.data, text, out.len);
                buf_release(&out);
        }
        /* Two members are one body. */
        n += pack("more", 4, packed + n, sizeof(packed) - n);
        assert_int_equal(decode(packed, n, 100, &out, &err), 0);
        assert_int_equal(out.len, sizeof(text) + 4);
        buf_release(&out);
}

static void damaged_gzip_is_refused(void **state)
{
        char packed[1024];
        size_t n = pack("hello, hello, hello", 19, packed, sizeof(packed));
        struct err err = ERR_INIT;
        struct buf out;

        for (size_t cut = 0; cut < n; cut++) {
                assert_int_equal(decode(packed, cut, 5, &out, &err), -EBADMSG);
                assert_non_null(strstr(err.msg, "it is truncated"));
                buf_release(&out);
        }
        /* One flipped bit anywhere in the data, the checksum or the length. */
        for (size_t bit = 80; bit < 8 * n; bit++) {
                packed[bit / 8] ^= (char)(1 << bit % 8);
                if (decode(packed, n, n, &out, &err) == 0 &&
                    (out.len != 19 || memcmp(out.data, "hello, hello, hello", 19) != 0))
                        fail_msg("bit %zu", bit);
                buf_release(&out);
                packed[bit / 8] ^= (char)(1 << bit % 8);
        }
        memcpy(packed + n, "rubbish", 7);
        assert_int_equal(decode(packed, n + 7, n + 7, &out, &err), -EBADMSG);
        buf_release(&out);
        assert_int_equal(decode("{\"code\":1}", 10, 3, &out, &err), -EBADMSG);
        assert_non_null(strstr(err.msg, "the body is not valid gzip: "));
        buf_release(&out);
}

/* ---- in the server ---- */

static void echo(struct http_request *request, void *ctx)
{
        const struct buf *body = http_request_body(request);
        struct buf copy = BUF_INIT(BODY_MAX);

        buf_add(&copy, body->data ? body->data : "", body->len);
        http_answer(request, 200, "text/plain", &copy);
}

static atomic_uint refused; /* on the server's thread */

static void note_refused(const struct http_route *route, unsigned status, void *ctx)
{
        atomic_store(&refused, status);
}

static const struct http_route routes[] = {{"POST", "/echo", echo, BODY_MAX, 0, 0},
                                           {"GET", "/echo", echo, 0, 0, 0}};
static struct answer post(const struct served *s, const char *coding, const char *body, size_t n)
{
        char extra[128];

        snprintf(extra, sizeof(extra), "Content-Encoding: %s\r\n", coding);
        return ask_with(s, "POST", "/echo", extra, body, n);
}

static void expect(const struct served *s, const char *coding, const char *body, size_t n,
                   unsigned status, const char *says)
{
        struct answer a;

        atomic_store(&refused, 0);
        a = post(s, coding, body, n);
        if (a.status != status)
                fail_msg("%s: %u: %s", coding, a.status, a.body);
        assert_contains(a.body, says);
        assert_int_equal(atomic_load(&refused), status == 200 ? 0 : status);
        if (status == 415)
                assert_contains(a.headers, "Accept-Encoding: gzip");
        answer_release(&a);
}

static void the_server_decodes_bodies(void **state)
{
        struct http_server_config c = {.routes = routes, .n_routes = 2, .refused = note_refused};
        char packed[1024];
        size_t n = pack("{\"a\": 1}", 8, packed, sizeof(packed));
        struct served s;
        struct answer a;

        served_start(&s, c);
        expect(&s, "gzip", packed, n, 200, "{\"a\": 1}");
        expect(&s, "GZip", packed, n, 200, "{\"a\": 1}");
        expect(&s, "x-gzip", packed, n, 200, "{\"a\": 1}");
        expect(&s, "identity", "plain", 5, 200, "plain");
        expect(&s, "gzip", packed, n - 1, 400, "it is truncated");
        expect(&s, "gzip", "", 0, 400, "it is truncated");
        expect(&s, "gzip", "plain", 5, 400, "not valid gzip");
        expect(&s, "br", packed, n, 415, "must be gzip");
        expect(&s, "deflate", packed, n, 415, "must be gzip");
        expect(&s, "gzip, gzip", packed, n, 415, "must be gzip");
        expect(&s, "", packed, n, 415, "must be gzip");
        a = ask_with(&s, "GET", "/echo", "Content-Encoding: br\r\n", NULL, 0);
        assert_int_equal(a.status, 200); /* there is no body to decode */
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
}

static void a_compression_bomb_stops_at_the_bound(void **state)
{
        struct http_server_config c = {.routes = routes, .n_routes = 2, .refused = note_refused};
        char *zeros = calloc(1, BOMB), *packed = malloc(1 << 20);
        size_t n = pack(zeros, BOMB, packed, 1 << 20);
        struct served s;

        served_start(&s, c);
        expect(&s, "gzip", packed, n, 413, "the body is larger than 1048576 bytes");
        /* A body that just fits is accepted. */
        n = pack(zeros, BODY_MAX - 1, packed, 1 << 20);
        zeros[0] = 'z';
        n = pack(zeros, BODY_MAX, packed, 1 << 20);
        expect(&s, "gzip", packed, n, 200, "z");
        served_stop(&s);
        served_release(&s);
        free(zeros);
        free(packed);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_compressed_body_is_decoded),
                cmocka_unit_test(damaged_gzip_is_refused),
                cmocka_unit_test(the_server_decodes_bodies),
                cmocka_unit_test(a_compression_bomb_stops_at_the_bound),
        };

        return cmocka_run_group_tests(tests, set_up, NULL);
}
