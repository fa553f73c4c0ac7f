"""The methods that the LSTM was compared with, in Tables 1 and 2 and in 2b of the text.

Of Table 1 the paper took these rows from the literature, whose settings it does not give (see `carrousel.systems`
for what is assumed); those of Table 2 are its own.
"""

from collections.abc import Mapping
from functools import partial

from carrousel.experiments.criteria import Faultless, Grammar
from carrousel.experiments.hochreiter_1997.lags import TRIALS, both_sequences, pieces, wrong_anywhere, wrong_at_end
from carrousel.experiments.hochreiter_1997.reber import Epochs, Strings
from carrousel.experiments.hochreiter_1997.setting import SOURCE, sizes
from carrousel.experiments.trials import Drawn, Published, Row
from carrousel.systems.bptt import BPTT
from carrousel.systems.cascade_correlation import CascadeCorrelation
from carrousel.systems.chunker import Chunker
from carrousel.systems.elman import Elman
from carrousel.systems.rtrl import RTRL
from carrousel.systems.system import System
from carrousel.systems.wiring import Wiring
from carrousel.tasks.lags import no_local_regularity, noise_free
from carrousel.tasks.reber import INPUTS, OUTPUTS

__all__ = ["LOCAL_REGULARITY", "NOISE_FREE", "REBER"]

_NEVER = 5_000_000


def _reber(
    name: str,
    system: System,
    success: float | None,
    after: float,
    weights: int | None,
    limit: Mapping[str, int],
    failed_until: int | None = None,
) -> Row:
    is_cascade = isinstance(system, CascadeCorrelation)
    return Row(
        table="1",
        name=name,
        reading="rival",
        published=Published({"solved": after} if after else {}, success, weights, None, {}, SOURCE, failed_until),
        start=system.start,
        data=Epochs if is_cascade else Strings,
        criterion=Grammar,
        limit=limit,
        trials=sizes(3, 10 if isinstance(system, RTRL) else 30, 30),
        block=256 if is_cascade else 10,
        batch=256 if is_cascade else 1,
        note="published numbers from the literature, as the paper quotes them; weights are its estimates",
    )


REBER = (
    _reber(
        "RTRL 3 units",
        RTRL(Wiring(INPUTS, 3, OUTPUTS, fully_recurrent=True), 0.05),
        None, 173_000, 170, sizes(300, 60_000, 400_000),
    ),
    _reber(
        "RTRL 12 units",
        RTRL(Wiring(INPUTS, 12, OUTPUTS, fully_recurrent=True), 0.1),
        None, 25_000, 494, sizes(100, 30_000, 400_000),
    ),
    _reber(
        "Elman 15 units",
        Elman(Wiring(INPUTS, 15, OUTPUTS, shortcuts=False), 0.1),
        0.0, 0, 435, sizes(500, 60_000, 200_000), 200_000,
    ),
    _reber(
        "cascade-correlation, up to 9 units",
        CascadeCorrelation(INPUTS, OUTPUTS),
        0.5, 182_000, None, sizes(5_120, 182_000, 364_000),
    ),
)  # fmt: skip


def _noise_free(
    name: str,
    system: System,
    p: int,
    weights: int,
    success: float,
    after: float,
    cap: int,
    failed_until: int | None = _NEVER,
) -> Row:
    return Row(
        table="2",
        name=f"{name} p={p}",
        reading="rival",
        published=Published({"solved": after} if success else {}, success, weights, TRIALS, {}, SOURCE, failed_until),
        start=system.start,
        data=partial(Drawn, partial(pieces, noise_free, p), draw_test=partial(both_sequences, p)),
        criterion=partial(Faultless, wrong=wrong_anywhere, size=2, piece=2, recent=20),
        limit=sizes(min(cap, 1_000 if p == 4 else 40), cap, _NEVER),
        trials=sizes(3, 10, TRIALS),
        block=20,
    )


def _one_unit(p: int) -> Wiring:
    """One self-recurrent hidden unit under p + 1 outputs; each layer sees all below."""
    return Wiring(p + 1, 1, p + 1)


NOISE_FREE = (
    *(
        _noise_free(f"RTRL rate {rate}", RTRL(_one_unit(4), rate), 4, 36, success, after, cap)
        for rate, success, after, cap in (
            (1.0, 0.78, 1_043_000, 200_000),
            (4.0, 0.56, 892_000, 200_000),
            (10.0, 0.22, 254_000, 1_500_000),
        )
    ),
    _noise_free("RTRL rate 1.0", RTRL(_one_unit(10), 1.0), 10, 144, 0.0, 0, 200_000),
    _noise_free("RTRL rate 1.0", RTRL(_one_unit(100), 1.0), 100, 10_404, 0.0, 0, 10_000),
    _noise_free("BPTT rate 1.0", BPTT(_one_unit(100), 1.0), 100, 10_404, 0.0, 0, 20_000),
    _noise_free("chunker rate 1.0", Chunker(101, 1), 100, 10_506, 0.33, 32_400, 35_000, None),
)


def _without_regularity(name: str, system: System, weights: int, cap: int) -> Row:
    return Row(
        table="2b",
        name=f"{name} p=100",
        reading="rival",
        published=Published({}, 0.0, weights, None, {}, SOURCE),
        start=system.start,
        data=partial(Drawn, partial(pieces, no_local_regularity, 100)),
        criterion=partial(Faultless, wrong=wrong_at_end),
        limit=sizes(40, cap, _NEVER),
        trials=sizes(3, 30, TRIALS),
        block=20,
        note="the text says that it fails",
    )


LOCAL_REGULARITY = (
    _without_regularity("RTRL rate 1.0", RTRL(_one_unit(100), 1.0), 10_404, 5_000),
    _without_regularity("BPTT rate 1.0", BPTT(_one_unit(100), 1.0), 10_404, 10_000),
    _without_regularity("chunker rate 1.0", Chunker(101, 1), 10_506, 2_000),
)
