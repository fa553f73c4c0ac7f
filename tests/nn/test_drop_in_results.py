"""LSTM, GRU and RNN give what their torch.nn namesakes give: outputs, states and every gradient."""

import itertools

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

import carrousel
from nn.twins import BACKENDS, LAYERS, assert_same, everything, ours, packed, sequence, states_for, theirs

TIME, BATCH, INPUT, HIDDEN = 4, 3, 2, 3
VARIANTS = [
    ("LSTM", {}),
    ("LSTM", {"proj_size": 2}),
    ("GRU", {}),
    ("RNN", {"nonlinearity": "tanh"}),
    ("RNN", {"nonlinearity": "relu"}),
]
FORMS = ("padded", "batch_first", "unbatched", "sorted", "unsorted")


def call_in_form(form: str, name: str, depth: int, with_states: bool, proj_size: int = 0) -> tuple:
    """The arguments of a call: input in one of the forms, and initial states or none."""
    x = sequence(TIME, BATCH, INPUT)
    inputs = {
        "padded": x,
        "batch_first": x.transpose(0, 1).contiguous(),
        "unbatched": x[:, 0],
        "sorted": packed(x, [4, 4, 1]),
        "unsorted": packed(x, [2, 4, 1]),
    }
    shape = (depth, HIDDEN) if form == "unbatched" else (depth, BATCH, HIDDEN)
    return (inputs[form], states_for(name, *shape, proj_size=proj_size)) if with_states else (inputs[form],)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_same_results_and_gradients(name: str, variant: dict, backend: str, form: str) -> None:
    for layers, bidirectional, bias, with_states in itertools.product((1, 2), *[(False, True)] * 3):
        options = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias, **variant}
        options |= {"batch_first": form == "batch_first", "dtype": torch.float64}
        args = call_in_form(form, name, layers * (1 + bidirectional), with_states, variant.get("proj_size", 0))
        expected = everything(theirs(name, INPUT, HIDDEN, **options), *args)
        assert_same(everything(ours(name, INPUT, HIDDEN, backend=backend, **options), *args), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("lengths", [[4, 4, 1], [2, 4, 1]])
def test_a_packed_result_has_the_order_of_its_input(name: str, backend: str, lengths: list[int]) -> None:
    x = packed(sequence(TIME, BATCH, INPUT), lengths)
    output, _ = ours(name, INPUT, HIDDEN, backend=backend, dtype=torch.float64)(x)
    assert isinstance(output, nn.utils.rnn.PackedSequence)
    assert torch.equal(output.batch_sizes, x.batch_sizes)
    for mine, given in ((output.sorted_indices, x.sorted_indices), (output.unsorted_indices, x.unsorted_indices)):
        assert (mine is None and given is None) or torch.equal(mine, given)


@pytest.mark.parametrize("backend", ["auto", "torch", "eager"])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", [list, torch.tensor, lambda n: torch.tensor(n, dtype=torch.int32)])
def test_lengths_give_what_packing_gives(name: str, backend: str, batch_first: bool, kind) -> None:
    lengths = [2, 4, 1]
    options = {"num_layers": 2, "bidirectional": True, "batch_first": batch_first, "dtype": torch.float64}
    x = sequence(BATCH, TIME, INPUT) if batch_first else sequence(TIME, BATCH, INPUT)
    hx = states_for(name, 4, BATCH, HIDDEN)
    reference = theirs(name, INPUT, HIDDEN, **options)
    output, state = reference(packed(x, lengths, batch_first), hx)
    padded, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first, total_length=TIME)
    made = ours(name, INPUT, HIDDEN, backend=backend, **options)
    assert_same(made(x, hx, lengths=kind(lengths)), (padded, state))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "variant"), VARIANTS)
@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_gradients_against_finite_differences(name: str, variant: dict, backend: str, check) -> None:
    layer = ours(name, 2, 3, 2, bidirectional=True, backend=backend, dtype=torch.float64, **variant)
    names, weights = zip(*layer.named_parameters(), strict=True)
    x = sequence(2, 2, 2).requires_grad_()
    hx = states_for(name, 4, 2, 3, proj_size=variant.get("proj_size", 0))
    states = [s.requires_grad_() for s in (hx if isinstance(hx, tuple) else (hx,))]

    def call(x: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given, values = rest[: len(states)], rest[len(states) :]
        state = given if len(given) > 1 else given[0]
        output, after = functional_call(layer, dict(zip(names, values, strict=True)), (x, state))
        return output, *(after if isinstance(after, tuple) else (after,))

    assert check(call, (x, *states, *weights), fast_mode=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_in_a_list_and_arguments_by_name(backend: str) -> None:
    expected, made = (make("LSTM", INPUT, HIDDEN, dtype=torch.float64) for make in (theirs, ours))
    made.backend = backend
    x, hx = sequence(TIME, BATCH, INPUT), states_for("LSTM", 1, BATCH, HIDDEN)
    for call in (made, expected):
        assert_same(call(x, list(hx)), expected(x, hx))
        assert_same(call(input=x, hx=hx), expected(x, hx))
        assert_same(call(hx=hx, input=x), expected(x, hx))


# ---------------------------------------------------------------------- dropout


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("form", FORMS)
def test_dropout_draws_what_torch_draws(name: str, backend: str, probability: float, form: str) -> None:
    options = {"num_layers": 3, "dropout": probability, "bidirectional": True, "batch_first": form == "batch_first"}
    args = call_in_form(form, name, 6, with_states=True)
    expected = theirs(name, INPUT, HIDDEN, dtype=torch.float64, **options)
    made = ours(name, INPUT, HIDDEN, dtype=torch.float64, backend=backend, **options)
    for training in (True, False):
        results = []
        for layer in (made, expected):
            torch.manual_seed(13)
            results.append(everything(layer.train(training), *args))
        assert_same(*results)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_dropout_may_change_after_construction(name: str, backend: str) -> None:
    layer = ours(name, INPUT, HIDDEN, 2, backend=backend, dropout=0.5)
    x = sequence(TIME, BATCH, INPUT, dtype=torch.float32)
    calm = layer.eval()(x)[0]
    layer.train()
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.dropout = 0.0
    assert torch.equal(layer(x)[0], calm)


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_leaves_no_random_state_behind_in_evaluation(name: str) -> None:
    layer = ours(name, INPUT, HIDDEN, 2, backend="eager", dropout=0.5).eval()
    before = torch.get_rng_state()
    layer(sequence(TIME, BATCH, INPUT, dtype=torch.float32))
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------------- types, empty batches


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", LAYERS)
def test_other_dtypes_give_torch_s_bits(name: str, dtype: torch.dtype) -> None:
    x = sequence(TIME, BATCH, INPUT, dtype=dtype)
    options = {"num_layers": 2, "bidirectional": True, "dtype": dtype}
    expected = everything(theirs(name, INPUT, HIDDEN, **options), x)
    made = everything(ours(name, INPUT, HIDDEN, backend="torch", **options), x)
    assert all(torch.equal(made[key], expected[key]) for key in expected)
    made = everything(ours(name, INPUT, HIDDEN, **options), x)
    assert_same(made, expected, f"layers in {str(dtype).removeprefix('torch.')}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", LAYERS)
def test_other_dtypes_in_eager(name: str, dtype: torch.dtype) -> None:
    x = sequence(TIME, BATCH, INPUT, dtype=dtype)
    options = {"num_layers": 2, "bidirectional": True, "dtype": dtype}
    expected = everything(theirs(name, INPUT, HIDDEN, **options), x)
    assert_same(
        everything(ours(name, INPUT, HIDDEN, backend="eager", **options), x), expected, f"layers in {str(dtype)[6:]}"
    )


@pytest.mark.parametrize("way", [{}, {"backend": "eager"}, {"cell": "peephole_lstm"}])
def test_empty_batch(way: dict) -> None:
    expected = everything(theirs("LSTM", INPUT, HIDDEN, 2, bidirectional=True), torch.zeros(TIME, 0, INPUT))
    made = everything(ours("LSTM", INPUT, HIDDEN, 2, bidirectional=True, **way), torch.zeros(TIME, 0, INPUT))
    assert [made[k].shape for k in made if k.startswith("result")] == [
        expected[k].shape for k in expected if k.startswith("result")
    ]
    assert not any(g.any() for key, g in made.items() if key.startswith("gradient"))
    assert_same(
        carrousel.LSTM(INPUT, HIDDEN, **way)(torch.zeros(TIME, 0, INPUT), lengths=[])[0], torch.zeros(TIME, 0, HIDDEN)
    )
