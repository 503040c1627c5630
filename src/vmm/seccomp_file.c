/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/seccomp_file.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* Finds a name in any case, as Firecracker does. */
static bool has_name(const char *bytes, size_t n, const char *name)
{
        size_t len = strlen(name);

        for (size_t at = 0; at + len <= n; at++) {
                if (strncasecmp(bytes + at, name, len) == 0)
                        return true;
        }
        return false;
}

int seccomp_file_inspect(const char *bytes, size_t n, struct err *err)
{
        static const char *const threads[] = {"vmm", "api", "vcpu"};
        size_t blank = 0;

        while (blank < n && strchr(" \t\r\n", bytes[blank]))
                blank++;
        if (blank < n && bytes[blank] == '{')
                return err_set(err, EINVAL,
                               "is JSON, not a compiled filter: compile it with seccompiler-bin");
        for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
                if (!has_name(bytes, n, threads[i]))
                        return err_set(err, EINVAL,
                                       "holds no compiled filters: Missing thread category: %s",
                                       threads[i]);
        }
        return 0;
}

int seccomp_file_check(const char *path, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(SECCOMP_FILE_MAX);
        struct err local = ERR_INIT;

        err = err ? err : &local;
        if (fs_read(path, &text, err) < 0)
                return err_wrap(err, "--seccomp-filter");
        if (seccomp_file_inspect(text.data, text.len, err) < 0)
                return err_wrap(err, "--seccomp-filter: %s", path);
        return 0;
}
