/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The member `files` of a submission: {"path": content, …}, or [{"path": …, "content": content,
 * "mode": "0755"}, …]. Content is bytes (json/bytes.h); in the object it may also be
 * {"text" or "base64": …, "mode": "0755"}.
 */
#pragma once

#include "json/json.h"
#include "workload/workload.h"

/* Adds the files to the spec. -EINVAL with a message that names the file; -ENOMEM. */
int api_take_files(struct workload_spec *spec, const struct json_path *at, json_t *value,
                   struct err *err);
