/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config_fields.h"

#include "vmm/vsock_host.h"
#include "vmm/vsock_packet.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

/* ---- fields that are not plain values ---- */

/* The only value that this program supports: the first of `words`, or false. */
static int decode_only(const struct json_field *f, const struct json_path *at, json_t *value,
                       void *member, struct err *err)
{
        const char *only = f->words[0], *text = json_string_value(value);

        if (json_is_false(value) ? strcmp(only, "false") == 0 : text && strcmp(text, only) == 0)
                return 0;
        return json_fail(at, err, ENOTSUP, "not supported by vulcan-vmm (only %s is)", only);
}

static json_t *encode_only(const struct json_field *f, const void *member)
{
        return strcmp(f->words[0], "false") == 0 ? json_false() : json_string(f->words[0]);
}

static int decode_absent(const struct json_field *f, const struct json_path *at, json_t *value,
                         void *member, struct err *err)
{
        return json_fail(at, err, ENOTSUP, "not supported by vulcan-vmm");
}

/* A rate limiter without limits: {}, or one whose buckets are null, as clients that fill in all fields
 * send it. */
static int decode_limiter(const struct json_field *f, const struct json_path *at, json_t *value,
                          void *member, struct err *err)
{
        const json_t *bucket;
        const char *name;

        if (!json_is_object(value))
                return json_fail(at, err, EINVAL, "must be a JSON object");
        json_object_foreach(value, name, bucket)
        {
                const struct json_path field = {.parent = at, .name = name};

                if (strcmp(name, "bandwidth") != 0 && strcmp(name, "ops") != 0)
                        return json_fail(&field, err, EINVAL, "unknown field");
                if (!json_is_null(bucket))
                        return json_fail(at, err, ENOTSUP, "not supported by vulcan-vmm");
        }
        return 0;
}

/* Replaces an owned text. */
static int store(char **member, char *owned, struct err *err)
{
        if (!owned)
                return err_set(err, ENOMEM, "out of memory");
        free(*member);
        *member = owned;
        return 0;
}

static bool is_mac(const char *text)
{
        for (int i = 0; i < 17; i++) {
                if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
                        return false;
        }
        return text[17] == '\0';
}

/* Firecracker calls a malformed address an error of the body, not of a value: -EINVAL. */
static int decode_mac(const struct json_field *f, const struct json_path *at, json_t *value,
                      void *member, struct err *err)
{
        const char *text = json_string_value(value);

        if (!text)
                return json_fail(at, err, EINVAL, "must be a string");
        if (!is_mac(text))
                return json_fail(at, err, EINVAL, "\"%.64s\" is not like 06:00:ac:10:00:02", text);
        return store(member, strdup(text), err);
}

static json_t *encode_mac(const struct json_field *f, const void *member)
{
        const char *text = *(const char *const *)member;

        return text ? json_string(text) : json_null();
}

/* An object of strings, stored as JSON text of at most `max` bytes. */
static int decode_properties(const struct json_field *f, const struct json_path *at, json_t *value,
                             void *member, struct err *err)
{
        const json_t *word;
        const char *name;
        char *text;

        if (!json_is_object(value))
                return json_fail(at, err, EINVAL, "must be a JSON object");
        json_object_foreach(value, name, word)
        {
                const struct json_path field = {.parent = at, .name = name};

                if (!json_is_string(word))
                        return json_fail(&field, err, EINVAL, "must be a string");
        }
        text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
        if (text && strlen(text) > (size_t)f->max) {
                free(text);
                return json_fail(at, err, ERANGE, "longer than %lld bytes", (long long)f->max);
        }
        return store(member, text, err);
}

static json_t *encode_properties(const struct json_field *f, const void *member)
{
        const char *text = *(const char *const *)member;

        return text ? json_loads(text, 0, NULL) : json_null();
}

/* ---- the table ---- */

static const char *const none[] = {"None", NULL};
static const char *const only_false[] = {"false", NULL};
static const char *const cache_names[] = {"Unsafe", "Writeback", NULL};
static const char *const engine_names[] = {"Sync", "Async", NULL};

#define CUSTOM(name_, decode_, ...)                                                                \
        {                                                                                          \
                .name = name_, .type = JSON_FIELD_CUSTOM, .decode = decode_, __VA_ARGS__           \
        }
#define ONLY(name_, words_) CUSTOM(name_, decode_only, .encode = encode_only, .words = words_)
#define ABSENT(name_) CUSTOM(name_, decode_absent, .encode = NULL)
#define LIMITER(name_) CUSTOM(name_, decode_limiter, .encode = NULL)

static const struct json_field machine_fields[] = {
        JSON_FIELD(vm_machine, vcpu_count, I64, 1, VM_VCPUS_MAX, JSON_REQUIRED),
        JSON_FIELD(vm_machine, mem_size_mib, I64, 1, VM_MEM_MIB_MAX, JSON_REQUIRED),
        ONLY("smt", only_false),
        ONLY("track_dirty_pages", only_false),
        ONLY("huge_pages", none),
        CUSTOM("cpu_template", decode_only, .words = none, .flags = JSON_OMIT_NULL),
        {0},
};

static const struct json_field boot_fields[] = {
        JSON_FIELD(vm_boot, kernel_image_path, TEXT, 1, 4095, JSON_REQUIRED | JSON_OWNED),
        JSON_FIELD(vm_boot, boot_args, TEXT, 0, VM_CMDLINE_MAX, JSON_OWNED),
        JSON_FIELD(vm_boot, initrd_path, TEXT, 1, 4095, JSON_OWNED),
        {0},
};

static const struct json_field drive_fields[] = {
        JSON_FIELD(vm_drive, drive_id, TEXT, 1, 64, JSON_REQUIRED | JSON_OWNED),
        JSON_FIELD(vm_drive, path_on_host, TEXT, 1, 4095, JSON_REQUIRED | JSON_OWNED),
        JSON_FIELD(vm_drive, is_root_device, BOOL, 0, 0, JSON_REQUIRED),
        JSON_FIELD(vm_drive, is_read_only, BOOL, 0, 0, 0),
        JSON_FIELD(vm_drive, cache_type, WORD, 0, 0, 0, .words = cache_names),
        JSON_FIELD(vm_drive, io_engine, WORD, 0, 0, 0, .words = engine_names),
        ABSENT("partuuid"),
        LIMITER("rate_limiter"),
        ABSENT("socket"),
        {0},
};

static const struct json_field net_fields[] = {
        JSON_FIELD(vm_net, iface_id, TEXT, 1, 64, JSON_REQUIRED | JSON_OWNED),
        JSON_FIELD(vm_net, host_dev_name, TEXT, 1, IFNAMSIZ - 1, JSON_REQUIRED | JSON_OWNED),
        JSON_FIELD(vm_net, guest_mac, CUSTOM, 0, 0, JSON_OWNED, .decode = decode_mac,
                   .encode = encode_mac),
        JSON_FIELD(vm_net, mtu, I64, VM_MTU_MIN, UINT16_MAX, 0),
        LIMITER("rx_rate_limiter"),
        LIMITER("tx_rate_limiter"),
        {0},
};

static const struct json_field vsock_fields[] = {
        JSON_FIELD(vm_vsock, guest_cid, I64, VSOCK_CID_MIN, UINT32_MAX - 1, JSON_REQUIRED),
        JSON_FIELD(vm_vsock, uds_path, TEXT, 1, VSOCK_UDS_PATH_MAX, JSON_REQUIRED | JSON_OWNED),
        JSON_FIELD(vm_vsock, vsock_id, TEXT, 0, 64, JSON_OWNED),
        {0},
};

static const struct json_field logger_fields[] = {
        JSON_FIELD(vm_logger, log_path, TEXT, 1, 4095, JSON_OWNED),
        JSON_FIELD(vm_logger, level, TEXT, 1, 16, JSON_OWNED),
        JSON_FIELD(vm_logger, show_level, BOOL, 0, 0, 0),
        JSON_FIELD(vm_logger, show_log_origin, BOOL, 0, 0, 0),
        JSON_FIELD(vm_logger, module, TEXT, 0, 256, JSON_OWNED),
        {0},
};

static const struct json_field metrics_fields[] = {
        JSON_FIELD(vm_metrics_section, metrics_path, TEXT, 1, 4095, JSON_REQUIRED | JSON_OWNED),
        JSON_FIELD(vm_metrics_section, emit_id, BOOL, 0, 0, 0),
        JSON_FIELD(vm_metrics_section, properties, CUSTOM, 0, VM_PROPERTIES_MAX,
                   JSON_OWNED | JSON_OMIT_NULL, .decode = decode_properties,
                   .encode = encode_properties),
        {0},
};

static const struct json_field entropy_fields[] = {LIMITER("rate_limiter"), {0}};

const struct json_table vm_machine_table = {
        .fields = machine_fields, .strict = true, .nulls = true};
const struct json_table vm_boot_table = {.fields = boot_fields, .strict = true, .nulls = true};
const struct json_table vm_drive_table = {.fields = drive_fields, .strict = true, .nulls = true};
const struct json_table vm_net_table = {.fields = net_fields, .strict = true, .nulls = true};
const struct json_table vm_vsock_table = {.fields = vsock_fields, .strict = true, .nulls = true};
const struct json_table vm_logger_table = {.fields = logger_fields, .strict = true, .nulls = true};
const struct json_table vm_metrics_table = {
        .fields = metrics_fields, .strict = true, .nulls = true};
const struct json_table vm_entropy_table = {
        .fields = entropy_fields, .strict = true, .nulls = true};
