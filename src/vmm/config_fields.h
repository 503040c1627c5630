/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sections of a configuration: a struct for each, and the table of its fields. A field that
 * Firecracker has and this program does not support has a row too, so that its error says so
 * (-ENOTSUP).
 *
 * Ownership: a section owns its texts; json_fields_release() frees them.
 */
#pragma once

#include "json/fields.h"

enum {
        VM_VCPUS_MAX = 32,
        VM_MEM_MIB_MAX = 1 << 20,
        VM_MTU_MIN = 68,
        VM_PROPERTIES_MAX = 1024, /* bytes of the metrics' properties as JSON */
        VM_CMDLINE_MAX = 2048,    /* bytes of a kernel's command line */
};

struct vm_machine {
        int64_t vcpu_count;
        int64_t mem_size_mib;
};

struct vm_boot {
        char *kernel_image_path;
        char *boot_args;
        char *initrd_path;
};

enum vm_cache { VM_CACHE_UNSAFE, VM_CACHE_WRITEBACK };

struct vm_drive {
        char *drive_id;
        char *path_on_host;
        bool is_root_device;
        bool is_read_only;
        int cache_type; /* enum vm_cache */
        int io_engine;  /* 0 Sync, 1 Async */
};

struct vm_net {
        char *iface_id;
        char *host_dev_name;
        char *guest_mac;
        int64_t mtu; /* offered to the guest's driver; 0: not offered */
};

struct vm_vsock {
        int64_t guest_cid;
        char *uds_path;
        char *vsock_id;
};

struct vm_logger {
        char *log_path;
        char *level;
        bool show_level;
        bool show_log_origin;
        char *module; /* accepted for compatibility; has no effect */
};

struct vm_metrics_section {
        char *metrics_path;
        bool emit_id;     /* each line names the microVM */
        char *properties; /* JSON object that each line repeats; NULL: none */
};

extern const struct json_table vm_machine_table, vm_boot_table, vm_drive_table, vm_net_table,
        vm_vsock_table, vm_logger_table, vm_metrics_table, vm_entropy_table;
