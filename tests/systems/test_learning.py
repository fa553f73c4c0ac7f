"""RTRL, BPTT and the Elman net learn to say the symbol before this one."""

import pytest
import torch
from torch import Tensor

from carrousel.systems.bptt import BPTT
from carrousel.systems.elman import Elman
from carrousel.systems.rtrl import RTRL
from carrousel.systems.system import System
from carrousel.systems.wiring import Wiring
from carrousel.tasks.sequences import Sequences

NETS, TIME = 3, 12

SYSTEMS: dict[str, System] = {
    "rtrl": RTRL(Wiring(2, 2, 2, bias=True, initial=0.5), 1.0),
    "rtrl, fully recurrent": RTRL(Wiring(2, 3, 2, fully_recurrent=True, bias=True, initial=0.5), 1.0),
    "bptt": BPTT(Wiring(2, 2, 2, bias=True, initial=0.5), 0.5),
    "elman": Elman(Wiring(2, 8, 2, shortcuts=False, bias=True, initial=1.0), 0.2),
}


def delayed(generator: torch.Generator, batch: int = 1) -> Sequences:
    x = torch.randint(0, 2, (TIME, NETS, batch), generator=generator)
    target = torch.cat([torch.full_like(x[:1], -1), x[:-1]])
    return Sequences(x, torch.full((NETS, batch), TIME), target)


def share_right(outputs: Tensor, sequences: Sequences) -> float:
    return (outputs.argmax(-1) == sequences.target)[1:].float().mean().item()


@pytest.mark.parametrize("name", SYSTEMS)
def test_they_learn_to_remember_one_step(name: str) -> None:
    g, nets = torch.Generator().manual_seed(0), SYSTEMS[name].start([1, 2, 3])
    fresh = delayed(torch.Generator().manual_seed(1), batch=50)
    assert share_right(nets.predict(fresh), fresh) < 0.7
    for _ in range(800):
        nets.learn(delayed(g))
    assert share_right(nets.predict(fresh), fresh) == 1
