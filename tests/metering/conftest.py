"""How hard the properties are tried: quickly by default, hard with HYPOTHESIS_PROFILE=deep (as CI does)."""

import os

from hypothesis import HealthCheck, settings

# The quick profile tries the same examples every time: a red run is red for everyone. The deep one looks for new ones.
settings.register_profile(
    "quick", max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
