"""The chunker: truncated gradients, what C is shown, and a lag that the pair learns to bridge."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from carrousel.systems.chunker import Chunker, ChunkerNets
from carrousel.systems.truncated import TruncatedNets
from carrousel.systems.wiring import Wiring
from carrousel.tasks.sequences import Sequences
from systems.drawn import drawn, noise_free

P = 4


@pytest.mark.parametrize("reach", [0, 1, 3, 9])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shortcuts", [False, True])
def test_error_goes_back_so_many_steps(reach: int, bias: bool, shortcuts: bool) -> None:
    """The change by an error at the last of six steps is autograd's, with older states as constants."""
    wiring = Wiring(3, 2, 2, shortcuts=shortcuts, bias=bias, initial=2.0, dtype=torch.float64)
    nets = TruncatedNets(wiring, 2, reach)
    for net in range(2):
        nets.draw(net, torch.Generator().manual_seed(net))
    x, target = torch.randn(6, 2, 1, 3, dtype=torch.float64), torch.rand(2, 1, 2, dtype=torch.float64)

    W, V = (layer.weight.clone().requires_grad_() for layer in (nets.recurrent, nets.output))
    h, one = torch.zeros(2, 1, 2, dtype=torch.float64), [torch.ones(2, 1, 1, dtype=torch.float64)] * bias
    for t in range(6):
        if t == 5 - reach:
            h = h.detach()
        h = torch.sigmoid(torch.cat([x[t], h, *one], -1) @ W)
    y = torch.sigmoid(torch.cat([*([x[5]] * shortcuts), h, *one], -1) @ V)
    expected = torch.autograd.grad(-((target - y) ** 2).sum() / 2, (W, V))

    nets.begin(1)
    for t in range(6):
        nets.advance(x[t])
    said = nets.say()
    torch.testing.assert_close(said, y.detach())
    nets.learn((target - said) * said * (1 - said), 1.0)
    for layer, before, change in zip((nets.recurrent, nets.output), (W, V), expected, strict=True):
        torch.testing.assert_close(layer.weight - before.detach(), change, atol=1e-12, rtol=0)


def test_networks_stand_still_where_others_take_a_step() -> None:
    nets = TruncatedNets(Wiring(3, 2, 2), 2, 1)
    for net in range(2):
        nets.draw(net, torch.Generator().manual_seed(net))
    nets.begin(1)
    nets.advance(torch.ones(2, 1, 3))
    h, z = nets.h.clone(), nets.z.clone()
    nets.advance(torch.zeros(2, 1, 3), torch.tensor([False, True]).view(2, 1, 1))
    assert torch.equal(nets.h[:, 0], h[:, 0])
    assert torch.equal(nets.z[:, 0], z[:, 0])
    assert torch.equal(nets.h[1, 1], h[0, 1])
    assert not torch.equal(nets.h[0, 1], h[0, 1])


# ---------------------------------------------------------------------- a lag


def trained(system: Chunker, sequences: int, nets: int = 4) -> ChunkerNets:
    g, learner = torch.Generator().manual_seed(0), system.start(range(nets))
    for _ in range(sequences):
        learner.learn(noise_free(P, torch.randint(0, 2, (nets, 1), generator=g)))
    return learner


def largest_errors(nets: ChunkerNets) -> Tensor:
    both = noise_free(P, torch.tensor([[0, 1]]).expand(len(nets), 2))
    return (nets.predict(both) - one_hot(both.target, P + 1)).abs().amax((0, 2, 3))


def test_chunker_sees_only_what_is_unexpected() -> None:
    """Once A foresees a_1 ... a_3, C is shown the first symbol and the last, and nothing between."""
    nets = trained(Chunker(P + 1, 1), 1000)
    nets.learn(noise_free(P, torch.tensor([[0], [1], [0], [1]])))
    assert nets.unexpected is not None
    assert nets.unexpected[..., 0].T.tolist() == [[False] * (P - 1) + [True]] * 4
    first = one_hot(torch.tensor([3, 4, 3, 4]), P + 1).float()
    shown = nets.chunker.z[..., 0, : P + 1]  # latest first
    assert torch.equal(shown[0], first)
    assert torch.equal(shown[1], first)
    assert (shown[2:] == 0).all()


def test_before_a_has_learned_everything_is_unexpected() -> None:
    nets = Chunker(P + 1, 1).start([1])
    nets.learn(noise_free(P, torch.tensor([[0]])))
    assert nets.unexpected is not None
    assert nets.unexpected.all()


def test_it_learns_to_bridge_the_lag() -> None:
    """A lag of four steps, longer than error goes back: A takes over what C does with two symbols."""
    g, nets = torch.Generator().manual_seed(0), Chunker(P + 1, 1).start([0, 1])
    for _ in range(40):
        for _ in range(100):
            nets.learn(noise_free(P, torch.randint(0, 2, (2, 1), generator=g)))
        if (largest_errors(nets) < 0.2).all():
            break
    assert (largest_errors(nets) < 0.25).all()
    nets.learn(noise_free(P, torch.tensor([[0], [1]])))
    assert nets.unexpected is not None
    assert not nets.unexpected.any()


@pytest.mark.parametrize("whole_state", [False, True])
def test_a_learns_to_predict_the_state_of_c(whole_state: bool) -> None:
    nets = Chunker(P + 1, 2, whole_state=whole_state).start([0])
    sequence = noise_free(P, torch.tensor([[0]]))
    for _ in range(400):
        nets.learn(sequence)
    state = [nets.chunker.h[0]] + [nets.chunker.say()] * whole_state
    assert nets.unexpected is not None
    assert not nets.unexpected.any()  # C has stayed where its first input took it
    predicted = nets.automatizer.say()[..., P + 1 :]
    torch.testing.assert_close(predicted, torch.cat(state, -1), atol=0.05, rtol=0)


# ---------------------------------------------------------------------- targets besides the inputs, time


def test_targets_besides_the_inputs() -> None:
    """C is shown target, input and time: zeros and the first input, then what A failed to foresee at each step."""
    sequences = drawn("values", nets=1, batch=1, is_ragged=False)
    system = Chunker(3, 2, targets=2, threshold=0.0, reach=9, time_code=3, dtype=torch.float64)
    nets = system.start([1])
    assert nets.weights == 2 * (3 + 2) + (2 + 3 + 2) * (3 + 2)
    y = nets.learn(sequences)
    assert y.shape == (7, 1, 1, 2)
    shown = nets.chunker.z[:8, 0, 0, :8].flip(0)  # in order
    x, target = sequences.x[:, 0, 0], sequences.target[:, 0, 0]
    digits = torch.tensor([[n & 1, n >> 1 & 1, n >> 2] for n in range(8)])
    torch.testing.assert_close(shown[:, 5:], digits.double())
    torch.testing.assert_close(shown[:, :2], torch.cat([torch.zeros(1, 2), target]))
    torch.testing.assert_close(shown[:, 2:5], torch.cat([x, torch.zeros(1, 3)]))


def test_outputs_learn_their_targets() -> None:
    x = one_hot(torch.tensor([0, 1, 0, 1, 0])).double().view(5, 1, 1, 2)
    target = x[..., :1] * 0.6 + 0.2
    nets = Chunker(2, 1, targets=1, dtype=torch.float64).start([1])
    task = Sequences(x, torch.tensor([[5]]), target)
    for _ in range(300):
        nets.learn(task)
    torch.testing.assert_close(nets.predict(task), target, atol=0.1, rtol=0)
