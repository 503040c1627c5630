/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of each section of a configuration, for structs of vmm/config.h. A field that Firecracker
 * has and this program does not support has a row too, so that its error says so (-ENOTSUP).
 */
#pragma once

#include "json/fields.h"

extern const struct json_table vm_machine_table, vm_boot_table, vm_drive_table, vm_net_table,
        vm_vsock_table, vm_logger_table, vm_metrics_table, vm_entropy_table;
