/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that the tests of wire encode and decode. */
#pragma once

#include "wire/frame.h"
#include "wire/message.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char *const argv[] = {"python3", "-u", "main.py", "\xc3\xa4 \"x\"\n", ""};
static const char *const env[] = {"A=1", "EMPTY=", "EQ=a=b"};

static inline struct wire_request full_request(void)
{
        return (struct wire_request){
                .protocol = WIRE_PROTOCOL,
                .id = "01JABCDEFGHJKMNPQRSTVWXYZ0",
                .argv = argv,
                .argc = 5,
                .env = env,
                .n_env = 3,
                .file = "src/main.py",
                .code_size = WIRE_CODE_MAX,
                .code_sha256 = SHA,
                .files = WIRE_FILES_MAX,
                .files_size = WIRE_FILES_SIZE_MAX,
                .fetch = env,
                .n_fetch = 3,
                .fetch_max = 7,
                .has_stdin = true,
                .timeout_ms = WIRE_TIMEOUT_MAX_MS,
                .processes_max = 77,
                .output_max = INT64_MAX,
                .wall_clock_ms = 1700000000123,
                .network = {.enabled = true,
                            .address = "172.30.0.2/30",
                            .gateway = "172.30.0.1",
                            .dns = {"1.1.1.1", "9.9.9.9"},
                            .n_dns = 2},
        };
}

/* A request for an archive, with what to look for in it. */
static inline struct wire_request archive_request(void)
{
        static const char *const words[] = {"sh", "main.sh"};

        return (struct wire_request){
                .protocol = WIRE_PROTOCOL,
                .id = "a",
                .argv = words,
                .argc = 2,
                .archive = true,
                .timeout_ms = 1,
                .entry = {.wanted = true,
                          .arg = 1,
                          .path = "src/caf\xe9.sh",
                          .names = {"main.sh", "package.json:main"},
                          .n_names = 2,
                          .suffixes = {".sh"},
                          .n_suffixes = 1},
        };
}
