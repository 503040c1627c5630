/* SPDX-License-Identifier: Apache-2.0 */
/* The fields `files` and `fetch` of a request. Errors: -EINVAL naming the field, -ENOMEM. */
#pragma once

#include "base/err.h"
#include "workload/workload.h"

#include <jansson.h>

/*
 * Files for the program: {"path": content, …} or [{"path": …, "content": content, "mode": "0755"}, …].
 * Content is bytes (json/bytes.h); in the object also {"text" or "base64": …, "mode": "0755"}.
 */
int api_take_files(struct workload_spec *spec, json_t *value, struct err *err);

/* Patterns of files to give back: an array of bytes. */
int api_take_fetch(struct workload_spec *spec, json_t *value, struct err *err);
