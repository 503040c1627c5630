/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a workload ended, as a status with an error message. Every backend takes it from here, so
 * that the same end has the same status and words everywhere.
 *
 * Thread rule: that of the session.
 */
#pragma once

#include "session/session.h"

/*
 * Decides how the workload ended: the one place that sets an outcome's status. `r` and `err` are
 * those of the step that ended the workload, 0 if the result is there. `killed`: somebody asked to
 * kill it.
 *
 * Call it when the conversation is over (or never began), and again with the current `killed` when
 * nothing of the workload is left, because a kill wins until then.
 */
void session_decide(const struct session *s, int r, const struct err *err, bool killed,
                    struct workload_outcome *outcome);
