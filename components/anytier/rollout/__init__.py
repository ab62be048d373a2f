"""One rollout algorithm for every place that has none of its own. Pure but for the loop that calls a driver.

`types` has the words and the driver's contract, `decide` the thinking, `run` the loop. What is promised, always:

- **Serving.** No act of the rollout takes the number of serving instances below the floor: the old number when
  starting first, less `max_parallel` when stopping first, 0 for `recreate`; once all of the target serve, their number.
  What dies by itself is not replaced by dropping something else.
- **Numbers.** While two revisions are there, no start makes more instances than `max(old, new) + max_parallel` when
  starting first, than the old number when stopping first; `recreate` starts when the last old one is gone. Never more
  than `max_parallel` are on their way to being ready. Where no other revision is there, all that is missing starts.
- **Order.** Attach before drain, drain before stop: an instance that ever had traffic is drained to the end first,
  also when an earlier run was killed while draining it.
- **Success** means: every wanted instance serves, and nothing else is there.
- **Failure** (an instance that this run started ends, turns unhealthy or is not healthy within `healthy_deadline`; a
  start is refused; a call goes on failing; nothing moves for `progress_deadline`) leads back: the old revision serves
  with its old number, nothing else is there, and RolloutFailed has the reason. If it was the first revision, its
  instances are removed and nothing serves; the reason has their last words.
- **`auto_rollback: false`**: the rollout stops where it is. The new half stays to be looked at, the old half goes on
  serving, never fewer than the floor; the next run, with whatever goal, starts from there.
- **Giving up**: the way back can fail too (three tries of each step, or `progress_deadline`), and a leftover may not go
  away after all of the new revision serve. Then nothing is undone, and the error says what serves.
- **Kills.** Nothing is remembered between runs. The next run, with the same goal or another, goes on from what it sees.
- **Scaling** within a revision touches only what is added, surplus or broken.

Times are kept at the first look after them; looks are `run.LOOK_AGAIN` apart.
"""
