"""What was used: events, segments, sessions and windows. Pure: no AWS, no clock, no environment."""
