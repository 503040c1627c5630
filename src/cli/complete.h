/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for shells, made from the tables of verbs and settings. Pure. */
#pragma once

#include "base/buf.h"

/* Adds the script. 0, -ENOBUFS, -ENOMEM. */
int complete_bash(struct buf *ret);
int complete_zsh(struct buf *ret);
