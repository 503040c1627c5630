/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that writes the file. It takes the queue in batches, one transaction each. It closes
 * the chunks of quiet logs, so that their lines reach the file as well. It deletes old lines.
 * Private to the output.
 */
#pragma once

/* The body of the thread; `output` is a struct output. Returns when output.quit is set and the
 * queue is empty. */
void *output_writer_run(void *output);
