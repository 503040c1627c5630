/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "vmm/logger.h"
#include "vmm/vsock_host.h"
#include "vmm/vsock_packet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT(type, member) offsetof(struct type, member)

struct vm_section {
        const char *name;
        const struct json_table *table; /* the first field of a list is its id; NULL: refused */
        size_t size, offset;            /* of the struct, or of a list's first entry */
        size_t flag;                    /* offset of has_…, for a single section */
        size_t count;                   /* offset of n_…, for a list */
        int max;                        /* entries; 0: not a list */
        int (*check)(const struct vm_config *cfg, const void *entry, struct err *err);
        const char *refusal;
};

static int check_readable(const char *field, const char *path, int mode, struct err *err)
{
        return access(path, mode) == 0 ? 0 : err_errno(err, "%s: cannot open %s", field, path);
}

static int check_boot(const struct vm_config *cfg, const void *entry, struct err *err)
{
        const struct vm_boot *b = entry;
        int r = check_readable("kernel_image_path", b->kernel_image_path, R_OK, err);

        (void)cfg;
        return r == 0 && b->initrd_path ? check_readable("initrd_path", b->initrd_path, R_OK, err)
                                        : r;
}

static int check_id(const char *field, const char *id, struct err *err)
{
        for (const char *p = id; *p; p++) {
                if (!strchr(VM_ID_CHARACTERS, *p))
                        return err_set(err, EINVAL,
                                       "%s: \"%s\" holds more than letters, digits "
                                       "and _",
                                       field, id);
        }
        return 0;
}

static int check_drive(const struct vm_config *cfg, const void *entry, struct err *err)
{
        const struct vm_drive *d = entry;
        const struct vm_drive *root = vm_config_root(cfg);

        if (check_id("drive_id", d->drive_id, err) < 0)
                return -EINVAL;
        if (d->is_root_device && root && strcmp(root->drive_id, d->drive_id) != 0)
                return err_set(err, EINVAL, "is_root_device: \"%s\" is already the root device",
                               root->drive_id);
        return check_readable("path_on_host", d->path_on_host, d->is_read_only ? R_OK : R_OK | W_OK,
                              err);
}

static int check_net(const struct vm_config *cfg, const void *entry, struct err *err)
{
        const struct vm_net *n = entry;

        if (check_id("iface_id", n->iface_id, err) < 0)
                return -EINVAL;
        if (strpbrk(n->host_dev_name, "/, \t\n"))
                return err_set(err, EINVAL, "host_dev_name: \"%s\" is not an interface name",
                               n->host_dev_name);
        for (int i = 0; i < cfg->n_nets; i++) {
                const struct vm_net *other = &cfg->nets[i];

                if (strcmp(other->iface_id, n->iface_id) == 0)
                        continue; /* this entry is being replaced */
                if (strcmp(other->host_dev_name, n->host_dev_name) == 0)
                        return err_set(err, EINVAL, "host_dev_name: \"%s\" is also used by \"%s\"",
                                       n->host_dev_name, other->iface_id);
                if (other->guest_mac && n->guest_mac &&
                    strcasecmp(other->guest_mac, n->guest_mac) == 0)
                        return err_set(err, EINVAL, "The MAC address is already in use: %s",
                                       n->guest_mac);
        }
        return 0;
}

static int check_logger(const struct vm_config *cfg, const void *entry, struct err *err)
{
        const struct vm_logger *l = entry;
        enum logger_level level;

        (void)cfg;
        if (l->level && logger_level_parse(l->level, &level) < 0)
                return err_set(err, EINVAL,
                               "level: unknown level \"%s\": use Off, Error, Warning, Info, Debug "
                               "or Trace",
                               l->level);
        return 0;
}

#define SINGLE(key, table_, type, member, flag_, check_)                                           \
        {                                                                                          \
                key, table_, sizeof(struct type), AT(vm_config, member), AT(vm_config, flag_), 0,  \
                        0, check_, NULL                                                            \
        }
#define LIST(key, table_, type, member, count_, max_, check_)                                      \
        {                                                                                          \
                key, table_, sizeof(struct type), AT(vm_config, member), 0, AT(vm_config, count_), \
                        max_, check_, NULL                                                         \
        }
#define REFUSED(key)                                                                               \
        {                                                                                          \
                key, NULL, 0, 0, 0, 0, 0, NULL, key " is not supported by vulcan-vmm"              \
        }

/* In the order of GET /vm/config. */
static const struct vm_section sections[] = {
        SINGLE("boot-source", &vm_boot_table, vm_boot, boot, has_boot, check_boot),
        LIST("drives", &vm_drive_table, vm_drive, drives, n_drives, VM_DRIVES_MAX, check_drive),
        SINGLE("machine-config", &vm_machine_table, vm_machine, machine, has_machine, NULL),
        LIST("network-interfaces", &vm_net_table, vm_net, nets, n_nets, VM_NETS_MAX, check_net),
        SINGLE("vsock", &vm_vsock_table, vm_vsock, vsock, has_vsock, NULL),
        SINGLE("logger", &vm_logger_table, vm_logger, logger, has_logger, check_logger),
        SINGLE("metrics", &vm_metrics_table, vm_metrics_section, metrics, has_metrics, NULL),
        /* No field is stored, only the presence of the section. */
        {"entropy", &vm_entropy_table, 0, 0, AT(vm_config, has_entropy), 0, 0, NULL, NULL},
        REFUSED("balloon"),
        REFUSED("cpu-config"),
        REFUSED("mmds-config"),
        REFUSED("mmds"),
        REFUSED("snapshot"),
        REFUSED("pmem"),
        REFUSED("serial"),
        REFUSED("hotplug"),
        REFUSED("memory-hotplug"),
};

enum { N_SECTIONS = sizeof(sections) / sizeof(sections[0]) };

void vm_config_init(struct vm_config *cfg)
{
        *cfg = (struct vm_config){.machine = {.vcpu_count = 1, .mem_size_mib = 128}};
}

static int *count_of(const struct vm_config *cfg, const struct vm_section *s)
{
        return (int *)((char *)cfg + s->count);
}

static bool *flag_of(const struct vm_config *cfg, const struct vm_section *s)
{
        return (bool *)((char *)cfg + s->flag);
}

static void *entry_of(const struct vm_config *cfg, const struct vm_section *s, int i)
{
        return (char *)cfg + s->offset + (size_t)i * s->size;
}

void vm_config_release(struct vm_config *cfg)
{
        for (const struct vm_section *s = sections; s < sections + N_SECTIONS; s++) {
                int n = s->max ? *count_of(cfg, s) : 1;

                for (int i = 0; i < n && s->table; i++)
                        json_fields_release(s->table, entry_of(cfg, s, i));
        }
        vm_config_init(cfg);
}

const struct vm_section *vm_section_find(const char *name, size_t n)
{
        for (const struct vm_section *s = sections; s < sections + N_SECTIONS; s++) {
                if (strlen(s->name) == n && memcmp(s->name, name, n) == 0)
                        return s;
        }
        return NULL;
}

const char *vm_section_name(const struct vm_section *s)
{
        return s->name;
}

bool vm_section_is_list(const struct vm_section *s)
{
        return s->max > 0;
}

const char *vm_section_refusal(const struct vm_section *s)
{
        return s->refusal;
}

/* The index of a list's entry with this id, or of a new one. -ENOSPC: the list is full. */
static int find_entry(const struct vm_config *cfg, const struct vm_section *s, const char *id,
                      struct err *err)
{
        int n = *count_of(cfg, s);

        for (int i = 0; i < n; i++) {
                char *const *have =
                        (char *const *)((char *)entry_of(cfg, s, i) + s->table->fields->offset);

                if (strcmp(*have, id) == 0)
                        return i;
        }
        return n < s->max ? n : err_set(err, ENOSPC, "%s: more than %d", s->name, s->max);
}

/* Large enough for the struct of any section. */
union any_entry {
        struct vm_machine machine;
        struct vm_boot boot;
        struct vm_drive drive;
        struct vm_net net;
        struct vm_vsock vsock;
        struct vm_logger logger;
        struct vm_metrics_section metrics;
};

static int put_entry(struct vm_config *cfg, const struct vm_section *s, const union any_entry *e,
                     const char *path_id, struct err *err)
{
        int at = 0;

        if (s->max) {
                const char *id = *(char *const *)((const char *)e + s->table->fields->offset);

                if (path_id && strcmp(path_id, id) != 0)
                        return err_set(err, ENOKEY,
                                       "The id from the path [%.64s] does not match the id from "
                                       "the body [%s]!",
                                       path_id, id);
                at = find_entry(cfg, s, id, err);
                if (at < 0)
                        return at;
        }
        if (s->check && s->check(cfg, e, err) < 0)
                return -err->code;
        if (!s->max)
                *flag_of(cfg, s) = true;
        else if (at == *count_of(cfg, s))
                *count_of(cfg, s) += 1;
        json_fields_release(s->table, entry_of(cfg, s, at));
        memcpy(entry_of(cfg, s, at), e, s->size);
        return 0;
}

int vm_config_put(struct vm_config *cfg, const struct vm_section *s, json_t *body, const char *id,
                  bool partial, struct err *err)
{
        union any_entry e = {0};
        struct err local = ERR_INIT;
        int r = 0;

        err = err ? err : &local;
        if (s->refusal)
                return err_set(err, ENOTSUP, "%s", s->refusal);
        if (partial && json_fields_copy(s->table, &e, entry_of(cfg, s, 0), s->size) < 0)
                return err_set(err, ENOMEM, "out of memory");
        r = partial ? json_fields_decode_partial(s->table, NULL, body, &e, err)
                    : json_fields_decode(s->table, NULL, body, &e, err);
        if (r == -EINVAL)
                r = -(err->code = EBADMSG);
        if (r == 0)
                r = put_entry(cfg, s, &e, id, err);
        if (r < 0)
                json_fields_release(s->table, &e);
        return r;
}

json_t *vm_config_dump_section(const struct vm_config *cfg, const struct vm_section *s)
{
        _cleanup_json_ json_t *list = s->max ? json_array() : NULL;
        json_t *object = NULL;

        if (!s->max)
                return json_fields_encode(s->table, NULL, entry_of(cfg, s, 0), &object, NULL) < 0
                               ? NULL
                               : object;
        for (int i = 0; i < *count_of(cfg, s); i++) {
                if (json_fields_encode(s->table, NULL, entry_of(cfg, s, i), &object, NULL) < 0 ||
                    json_array_append_new(list, object) < 0)
                        return NULL;
        }
        return steal_ptr(&list);
}

json_t *vm_config_dump(const struct vm_config *cfg)
{
        json_t *all = json_object();

        for (const struct vm_section *s = sections; all && s < sections + N_SECTIONS; s++) {
                bool there =
                        s->max || (s->table && (*flag_of(cfg, s) || s->table == &vm_machine_table));

                if (s->refusal)
                        continue;
                if (json_object_set_new(all, s->name,
                                        there ? vm_config_dump_section(cfg, s) : json_null()) < 0) {
                        json_decref(all);
                        all = NULL;
                }
        }
        return all;
}

static int load_section(struct vm_config *cfg, const char *name, json_t *v, struct err *err)
{
        const struct vm_section *s = vm_section_find(name, strlen(name));
        size_t i;
        json_t *entry;

        /* Firecracker ignores unknown sections: the file may be for a newer version. */
        if (!s) {
                logger_warn("unknown section \"%.64s\" is ignored", name);
                return 0;
        }
        /* GET /vm/config writes null or [] for absent sections, here and in Firecracker: such a
         * file can be read back. */
        if (json_is_null(v) || (s->refusal && json_is_array(v) && json_array_size(v) == 0))
                return 0;
        if (!s->max)
                return vm_config_put(cfg, s, v, NULL, false, err) < 0
                               ? s->refusal ? -err->code : err_wrap(err, "%s", name)
                               : 0;
        if (!json_is_array(v))
                return err_set(err, EINVAL, "%s: must be a list", name);
        json_array_foreach(v, i, entry)
        {
                if (vm_config_put(cfg, s, entry, NULL, false, err) < 0)
                        return err_wrap(err, "%s[%zu]", name, i);
        }
        return 0;
}

int vm_config_parse(struct vm_config *cfg, const char *text, size_t n, struct err *err)
{
        _cleanup_json_ json_t *all = NULL;
        const char *name;
        json_t *section;
        int r = json_parse(text, n, 0, &all, err);

        if (r < 0)
                return r;
        if (!json_is_object(all))
                return err_set(err, EINVAL, "must be a JSON object");
        json_object_foreach(all, name, section)
        {
                if ((r = load_section(cfg, name, section, err)) < 0)
                        return r;
        }
        if (!json_object_get(all, "boot-source"))
                return err_set(err, EINVAL, "boot-source: missing");
        if (!json_object_get(all, "drives"))
                return err_set(err, EINVAL, "drives: missing");
        return 0;
}

int vm_config_load(struct vm_config *cfg, const char *path, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(VM_CONFIG_FILE_MAX);
        struct err local = ERR_INIT;

        err = err ? err : &local;
        if (fs_read(path, &text, err) < 0)
                return -err->code;
        return vm_config_parse(cfg, text.data, text.len, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

const struct vm_drive *vm_config_root(const struct vm_config *cfg)
{
        for (int i = 0; i < cfg->n_drives; i++) {
                if (cfg->drives[i].is_root_device)
                        return &cfg->drives[i];
        }
        return NULL;
}

int vm_config_check(const struct vm_config *cfg, struct err *err)
{
        int devices = cfg->n_drives + cfg->n_nets + cfg->has_vsock + cfg->has_entropy;

        if (!cfg->has_boot)
                return err_set(err, EINVAL, "boot-source: missing: no kernel to start");
        if (devices > VM_DEVICES_MAX)
                return err_set(err, EINVAL,
                               "%d devices: drives, network-interfaces, vsock and "
                               "entropy may be %d together",
                               devices, VM_DEVICES_MAX);
        return 0;
}
