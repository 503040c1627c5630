/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operation does to the file: the `apply` members of struct store_op. Private to the store.
 * On the writing thread, in a transaction. An operation that fails changes nothing.
 */
#pragma once

#include "base/err.h"
#include "store/connection.h"
#include "store/op.h"

/* Inserts op->w with its files. */
int apply_insert(struct connection *c, struct store_op *op, struct err *err);

/* pending -> running. -ESTALE: the record is not pending. */
int apply_begin(struct connection *c, struct store_op *op, struct err *err);

/* pending or running -> op->w->status, with all columns and files. -ESTALE: it has ended. */
int apply_end(struct connection *c, struct store_op *op, struct err *err);

/* Replaces a queued beginning whose end has arrived: the end sets its columns as well. */
int apply_nothing(struct connection *c, struct store_op *op, struct err *err);
