# SPDX-License-Identifier: Apache-2.0
"""The soak test of tests/soak, for a short time. `make soak MINUTES=60` runs it for an hour."""
import os
import sys

import vulcan

sys.path.insert(0, os.path.join(vulcan.ROOT, "tests", "soak"))

import soak  # pylint: disable=wrong-import-position

SECONDS = float(os.environ.get("VULCAN_TEST_SOAK_SECONDS", "20"))


def test_nothing_grows_in_a_short_soak(fake_box):
    samples, wrong = soak.soak(fake_box, SECONDS, SECONDS / 8)
    assert not wrong, wrong
    assert samples[-1]["accepted"] > 100
