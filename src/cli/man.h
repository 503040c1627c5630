/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manual pages, generated from the same tables as `--help`: vulcan(1) and vulcan-VERB(1) in man(7)
 * markup. The build writes them to man/ of its folder by `vulcan help --man [VERB]`. Pure.
 */
#pragma once

#include "base/buf.h"
#include "cli/command.h"

/* Appends the page of a verb. With command NULL, that of vulcan itself, which lists the table. 0,
 * -ENOBUFS, -ENOMEM. */
int man_page(const struct command_table *table, const struct command *command, struct buf *ret);
