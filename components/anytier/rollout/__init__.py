"""One rollout algorithm for every place that has none of its own. Pure but for the loop that calls a driver."""
