/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

struct type {
        const char *name;
        bool may_be_empty;
        uint32_t max;
};

static const struct type types[WIRE_TYPE_LAST + 1] = {
        [WIRE_HELLO] = {"HELLO", false, WIRE_CONTROL_MAX},
        [WIRE_REQUEST] = {"REQUEST", false, WIRE_CONTROL_MAX},
        [WIRE_CODE] = {"CODE", true, WIRE_PAYLOAD_MAX},
        [WIRE_STDIN] = {"STDIN", true, WIRE_PAYLOAD_MAX},
        [WIRE_STDOUT] = {"STDOUT", false, WIRE_PAYLOAD_MAX},
        [WIRE_STDERR] = {"STDERR", false, WIRE_PAYLOAD_MAX},
        [WIRE_RESULT] = {"RESULT", false, WIRE_CONTROL_MAX},
        [WIRE_PING] = {"PING", true, WIRE_PING_MAX},
        [WIRE_PONG] = {"PONG", true, WIRE_PING_MAX},
        [WIRE_FILE] = {"FILE", false, WIRE_FILE_MAX},
        [WIRE_DATA] = {"DATA", false, WIRE_PAYLOAD_MAX},
};

static_assert((int)WIRE_CONTROL_MAX <= (int)WIRE_PAYLOAD_MAX, "control payloads fit into a frame");

static const struct type *find_type(unsigned type)
{
        return type <= WIRE_TYPE_LAST && types[type].name ? &types[type] : NULL;
}

const char *wire_type_name(unsigned type)
{
        const struct type *t = find_type(type);

        return t ? t->name : "unknown";
}

void wire_header(uint8_t ret[WIRE_HEADER_SIZE], enum wire_type type, uint32_t len)
{
        assert(len <= WIRE_PAYLOAD_MAX);
        ret[0] = (uint8_t)(len >> 24);
        ret[1] = (uint8_t)(len >> 16);
        ret[2] = (uint8_t)(len >> 8);
        ret[3] = (uint8_t)len;
        ret[4] = (uint8_t)type;
}

static int check_header(unsigned type, uint32_t len, struct err *err)
{
        const struct type *t = find_type(type);

        if (!t)
                return err_set(err, EPROTO, "frame of unknown type %u", type);
        if (len > t->max)
                return err_set(err, EPROTO, "%s frame of %u bytes is larger than %u", t->name, len,
                               t->max);
        if (len == 0 && !t->may_be_empty)
                return err_set(err, EPROTO, "empty %s frame", t->name);
        return 0;
}

ssize_t wire_decode(const uint8_t *bytes, size_t n, struct wire_frame *ret, struct err *err)
{
        uint32_t len;
        int r;

        if (n < WIRE_HEADER_SIZE)
                return 0;
        len = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
              (uint32_t)bytes[3];
        r = check_header(bytes[4], len, err);
        if (r < 0)
                return r;
        if (n - WIRE_HEADER_SIZE < len)
                return 0;
        *ret = (struct wire_frame){
                .type = (enum wire_type)bytes[4],
                .len = len,
                .payload = bytes + WIRE_HEADER_SIZE,
        };
        return (ssize_t)WIRE_HEADER_SIZE + (ssize_t)len;
}
