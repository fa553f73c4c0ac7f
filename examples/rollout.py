"""A recurrent policy that walks through many games at once, and begins anew in those that are over.

In each game a signal is shown at the first step only; at a step that nobody announces the game asks for it. The policy
acts step by step with `layer.step(x, state, resets=...)` and learns from whole rollouts with `layer(x, resets=...)`.

Run it with `python examples/rollout.py [rollouts]`.
"""

import sys

import torch
from torch import Tensor, nn

import carrousel

GAMES, STEPS = 32, 40


class Recall:
    """Games of 5 to 10 steps: remember the sign of the first observation, say it at the last step.

    Shapes:
        - observation: (game, 3): the sign, whether this is a first step, whether the answer counts now
        - action: (game,) 0 or 1
    """

    def __init__(self, games: int, seed: int = 0) -> None:
        self.drawn = torch.Generator().manual_seed(seed)
        self.left = torch.zeros(games, dtype=torch.long)
        self.sign = torch.zeros(games)
        self.begin(torch.ones(games, dtype=torch.bool))

    def begin(self, new: Tensor) -> None:
        """Begin some games anew."""
        self.first = new
        lengths = torch.randint(5, 11, new.shape, generator=self.drawn)
        signs = 2.0 * torch.randint(2, new.shape, generator=self.drawn) - 1
        self.left, self.sign = torch.where(new, lengths, self.left), torch.where(new, signs, self.sign)

    def observe(self) -> Tensor:
        """Return what the player sees."""
        return torch.stack([self.sign * self.first, self.first.float(), (self.left == 1).float()], dim=1)

    def act(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rewards, and which games are over; those begin anew."""
        over = self.left == 1
        reward = (2.0 * (action == (self.sign > 0)) - 1) * over
        self.left = self.left - 1
        self.begin(over)
        return reward, over


class Policy(nn.Module):
    """Logits of two actions.

    Shapes:
        - input: (time, batch, 3), or one step (batch, 3)
        - output: (time, batch, 2), or (batch, 2)
    """

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.recurrent, self.actions = carrousel.LSTM(3, hidden), nn.Linear(hidden, 2)


def rollout(policy: Policy, games: Recall) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Play all games for some steps; observations, resets, actions, rewards, each (time, game, ...)."""
    seen, state, over = [], None, torch.ones(GAMES, dtype=torch.bool)
    games.begin(over)
    policy.eval()
    with torch.no_grad():
        for _ in range(STEPS):
            observation, resets = games.observe(), over
            output, state = policy.recurrent.step(observation, state, resets=resets)
            action = torch.distributions.Categorical(logits=policy.actions(output)).sample()
            reward, over = games.act(action)
            seen.append((observation, resets, action, reward))
    policy.train()
    return tuple(torch.stack(part) for part in zip(*seen, strict=True))  # type: ignore[return-value]


def main(rollouts: int = 150) -> None:
    """Learn by policy gradient."""
    torch.manual_seed(0)
    policy, games = Policy(), Recall(GAMES)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    for k in range(1, rollouts + 1):
        x, resets, action, reward = rollout(policy, games)
        output, _ = policy.recurrent(x, resets=resets)  # what was walked step by step, now with gradients
        chosen = policy.actions(output).log_softmax(-1).gather(-1, action[..., None])[..., 0]
        loss = -(chosen * reward).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if k % 50 == 0 or k == rollouts:
            print(f"rollout {k}: {float((reward > 0).sum() / (reward != 0).sum()):.0%} of the games won")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
