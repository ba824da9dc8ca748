"""Environments so small that the best return is known."""

import numpy as np


class Corridor:
    """Cells 0 to 7, one-hot; action 1 walks right, 0 left; reward 1 and the end at cell 7, cut after 30 steps."""

    observation_shape, action_shape, num_actions = (8,), (), 2

    def __init__(self):
        self.x = self.t = 0

    def reset(self, seed=None):
        self.x = self.t = 0
        return np.eye(8, dtype=np.float32)[self.x]

    def step(self, action):
        self.x, self.t = min(max(self.x + (1 if action else -1), 0), 7), self.t + 1
        return np.eye(8, dtype=np.float32)[self.x], float(self.x == 7), self.x == 7, self.t >= 30

    def state_dict(self):
        return vars(self).copy()

    def load_state_dict(self, state):
        vars(self).update(state)


class Target:
    """One step: the reward is minus the square of the action's distance from 0.7 times the observation."""

    observation_shape, action_shape, num_actions = (1,), (1,), None
    bounds = np.array([-2.0], np.float32), np.array([2.0], np.float32)

    def __init__(self):
        self.rng, self.goal = np.random.default_rng(), 0.0

    def reset(self, seed=None):
        self.rng = self.rng if seed is None else np.random.default_rng(seed)
        self.goal = self.rng.uniform(-1, 1)
        return np.array([self.goal], np.float32)

    def step(self, action):
        return np.array([self.goal], np.float32), -float(action[0] - 0.7 * self.goal) ** 2, True, False

    def state_dict(self):
        return {"goal": self.goal, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state):
        self.goal, self.rng.bit_generator.state = state["goal"], state["rng"]
