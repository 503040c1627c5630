/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a microVM, and the table of sections and fields for the configuration
 * file, the API's bodies and GET /vm/config.
 *
 * A section is a key of the configuration file and a path of the API ("boot-source" is PUT
 * /boot-source). Its fields are rows of a table in config_fields.c. An unknown field, a wrong type,
 * a missing value or one out of range is an error that names the field. The table also lists the
 * features of Firecracker that this program lacks, so that the error can say so. A section of a
 * file that neither Firecracker nor this program knows is ignored, as by Firecracker, with a
 * warning in the log.
 *
 * Ownership: a struct vm_config owns its strings; vm_config_release() frees them. Thread rule: one
 * thread.
 */
#pragma once

#include "base/err.h"
#include "vmm/config_fields.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        VM_DRIVES_MAX = 8,
        VM_NETS_MAX = 8,
        VM_DEVICES_MAX = 8,           /* all virtio devices: the slots of `microvm` */
        VM_CONFIG_FILE_MAX = 1 << 20, /* bytes */
};

/* The characters of a drive's or an interface's id. */
#define VM_ID_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

struct vm_config {
        bool has_boot, has_vsock, has_entropy, has_logger, has_metrics, has_machine;
        struct vm_machine machine;
        struct vm_boot boot;
        struct vm_drive drives[VM_DRIVES_MAX];
        int n_drives;
        struct vm_net nets[VM_NETS_MAX];
        int n_nets;
        struct vm_vsock vsock;
        struct vm_logger logger;
        struct vm_metrics_section metrics;
};

/* A row of the table of sections. */
struct vm_section;

/* Sets the defaults: one vCPU, 128 MiB. */
void vm_config_init(struct vm_config *cfg);
void vm_config_release(struct vm_config *cfg);

/* Finds a section by its name in the file and in the API's path (n characters). NULL: unknown. */
const struct vm_section *vm_section_find(const char *name, size_t n);
const char *vm_section_name(const struct vm_section *s);

/* True for a section that is a list, whose entries have an id in the path. */
bool vm_section_is_list(const struct vm_section *s);

/* The error for a section that this program lacks; NULL: it has it. */
const char *vm_section_refusal(const struct vm_section *s);

/*
 * Puts one object into the configuration: a whole section, or one entry of a list. `id` is the id
 * in the path, which must equal the one in the body; NULL: there is no path. An entry with the same
 * id is replaced. With `partial`, absent fields keep their values. Nothing changes on failure.
 * -EBADMSG: the body does not match the section's fields; -ENOTSUP: only Firecracker has this
 * feature; -ENOKEY: the two ids differ; any other code: a value that cannot be used.
 */
int vm_config_put(struct vm_config *cfg, const struct vm_section *s, json_t *body, const char *id,
                  bool partial, struct err *err);

/* A section, or everything, as JSON. New references; NULL: out of memory. */
json_t *vm_config_dump_section(const struct vm_config *cfg, const struct vm_section *s);
json_t *vm_config_dump(const struct vm_config *cfg);

/* Reads a whole configuration from a file or from its text. */
int vm_config_load(struct vm_config *cfg, const char *path, struct err *err);
int vm_config_parse(struct vm_config *cfg, const char *text, size_t n, struct err *err);

/* Checks the whole before a start: that there is a kernel and not too many devices. */
int vm_config_check(const struct vm_config *cfg, struct err *err);

/* The drive with the root file system; NULL: none. */
const struct vm_drive *vm_config_root(const struct vm_config *cfg);
