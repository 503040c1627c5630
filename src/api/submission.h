/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of POST /v1/workloads, parsed for the engine.
 *
 *     {"runtime": "python", "isolation": "auto", "code": "…" | "code_archive": "base64",
 *      "entrypoint": "main.py", "args": ["…"], "env": {"NAME": "value"} | ["NAME=value"],
 *      "files": {"path": "content"}, "fetch": ["path or pattern"],
 *      "input": any JSON | "input_base64": "base64 of bytes", "network": "none" | "nat",
 *      "resources": {"cpus": 1, "mem_mb": 256, "timeout_s": 60}}
 *
 * Code, entry point, arguments and variables are bytes: a string or {"base64": "…"} (json/bytes.h).
 *
 * Parsing is strict. An unknown member, one given twice, one of the wrong type or a value out of
 * range is -EINVAL with a message that names the member. null means that a member is missing, and
 * so does "" where it can only mean the default; an empty `code` is a program. An entry point needs
 * an archive. Checks that depend on the machine, such as whether the runtime exists, are the
 * engine's.
 *
 * Thread rule: none of its own.
 */
#pragma once

#include "base/err.h"
#include "workload/workload.h"

enum {
        API_INPUT_MAX = 15 * 1024 * 1024, /* bytes of standard input */
        API_ISOLATION_MAX = 16,
        /* JSON values in a body. args and env at their bounds take a quarter of them. The bound is
         * there because the parser allocates tens of bytes for a value that takes two in the
         * body. */
        API_VALUES_MAX = 16 * 1024,
};

struct api_submission {
        struct workload_spec spec; /* stdin_fd: `input`, in a file in memory, at its start */
        char isolation[API_ISOLATION_MAX];
};

/* On failure *ret is untouched. On success release it, unless the engine has taken the spec. */
int api_submission_parse(const char *body, size_t size, struct api_submission *ret,
                         struct err *err);

void api_submission_release(struct api_submission *submission);
