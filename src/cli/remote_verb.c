/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote_verb.h"

#include "cli/cli.h"
#include "cli/table.h"

#include <errno.h>
#include <stdio.h>

int remote_begin(const struct command *command, int argc, char **argv, cli_option_fn *set_option,
                 void *ctx, struct remote *ret, int *ret_code)
{
        struct settings settings;
        struct err err = ERR_INIT;
        int n = cli_begin(command, argc, argv, &settings, set_option, ctx, ret_code);

        if (n > 0 && remote_open(ret, &settings, &err) < 0) {
                *ret_code = cli_fail(EXIT_USAGE, &err);
                return 0;
        }
        return n;
}

int remote_begin_ids(const struct command *command, int argc, char **argv, bool *ret_json,
                     struct remote *ret, int *ret_code)
{
        struct err err = ERR_INIT;
        int n = remote_begin(command, argc, argv, cli_set_flag, ret_json, ret, ret_code);

        if (n == 0 || argv[n])
                return n;
        remote_release(ret);
        err_set(&err, EINVAL, "%s: an ID is missing; see vulcan %s --help", command->name,
                command->name);
        *ret_code = cli_fail(EXIT_USAGE, &err);
        return 0;
}

int remote_end(struct remote *r, int result, const struct err *err)
{
        remote_release(r);
        if (result >= 0)
                return 0;
        return cli_fail(1, err);
}

int remote_show(const struct command *command, int argc, char **argv, const char *path,
                int (*print)(json_t *answer))
{
        struct remote remote;
        struct err err = ERR_INIT;
        json_t *answer = NULL;
        bool json = false;
        int code = 0, r;

        if (remote_begin(command, argc, argv, cli_set_flag, &json, &remote, &code) == 0)
                return code;
        r = remote_get(&remote, path, &answer, &err);
        if (r == 0 && (json ? table_print_json(answer, stdout) : print(answer)) < 0)
                r = err_set(&err, EIO, "cannot write to standard output");
        json_decref(answer);
        return remote_end(&remote, r, &err);
}
