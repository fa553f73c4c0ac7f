"""The cases that PyTorch keeps for its own recurrent modules, run on the stand-ins.

The table of modules ships with torch; what is done with each case is written anew here.
"""

import copy
import itertools
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.testing._internal.common_modules import ModuleErrorEnum, ModuleInfo, ModuleInput, module_db
from torch.testing._internal.common_utils import noncontiguous_like

import carrousel
from nn.twins import BACKENDS, LAYERS, STEPS, assert_same, everything, tensors

CASES: dict[str, ModuleInfo] = {
    info.module_cls.__name__: info
    for info in module_db
    if info.module_cls in {getattr(nn, name) for name in (*LAYERS, *STEPS)}
}
DTYPE = torch.float64

each_module = pytest.mark.parametrize(("name", "backend"), [(n, b) for n in (*LAYERS, *STEPS) for b in BACKENDS])
each_mode = pytest.mark.parametrize("training", [True, False])


def cases(name: str, training: bool, dtype: torch.dtype = DTYPE) -> list[ModuleInput]:
    """The table's cases of one module."""
    info = CASES[name]
    torch.manual_seed(2)
    return list(info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training))


def refusals(name: str, training: bool) -> list[Any]:
    """The table's wrong cases of one module."""
    info = CASES[name]
    return list(info.module_error_inputs_func(info, device="cpu", dtype=DTYPE, requires_grad=False, training=training))


def made(name: str, case: ModuleInput, training: bool, home: Any = carrousel, **options: Any) -> Any:
    """The module of a case, from carrousel or from torch.nn, with the weights of one seed."""
    construction = case.constructor_input
    torch.manual_seed(1)
    return getattr(home, name)(*construction.args, **construction.kwargs, **options).train(training)


def modules(name: str, backend: str, training: bool) -> Iterator[tuple[Any, ModuleInput]]:
    for case in cases(name, training):
        yield made(name, case, training, backend=backend, dtype=DTYPE), case


def test_the_table_has_every_namesake() -> None:
    assert set(CASES) == {*LAYERS, *STEPS}
    assert all(len(cases(name, True)) >= 2 for name in CASES)
    assert all(len(refusals(name, True)) >= 4 for name in CASES)


@each_mode
@each_module
def test_forward_and_gradients(name: str, backend: str, training: bool) -> None:
    for module, case in modules(name, backend, training):
        expected = made(name, case, training, home=nn, dtype=DTYPE)
        call = case.forward_input
        assert_same(everything(module, *call.args, **call.kwargs), everything(expected, *call.args, **call.kwargs))


@each_module
def test_unbatched_input_is_a_batch_of_one(name: str, backend: str) -> None:
    for module, case in modules(name, backend, training=True):
        call = case.forward_input
        reference = case.reference_fn(module, *call.args, **call.kwargs)
        assert_same(list(tensors(module(*call.args, **call.kwargs))), list(tensors(reference)))


@each_module
def test_factory_arguments(name: str, backend: str) -> None:
    for case in cases(name, training=True):
        for options in ({"device": "meta"}, {"dtype": torch.float64}, {"device": "cpu", "dtype": torch.float16}):
            module = made(name, case, True, backend=backend, **options)
            for parameter in module.parameters():
                assert parameter.device.type == options.get("device", "cpu")
                assert parameter.dtype == options.get("dtype", torch.float32)


@each_module
def test_device_context(name: str, backend: str) -> None:
    for case in cases(name, training=True):
        with torch.device("meta"):
            module = made(name, case, True, backend=backend)
        assert all(parameter.is_meta for parameter in module.parameters())
        filled = module.to_empty(device="cpu")
        assert not any(parameter.is_meta for parameter in filled.parameters())
        torch.manual_seed(1)
        filled.reset_parameters()
        assert_same(filled.state_dict(), made(name, case, True, home=nn).state_dict())


@each_module
def test_printed_form(name: str, backend: str) -> None:
    for case in cases(name, training=True):
        module, expected = made(name, case, True, backend=backend), made(name, case, True, home=nn)
        assert repr(module).replace(f", backend={backend!r}", "") == repr(expected)
        assert str(module) == repr(module)


@each_mode
@each_module
def test_pickle_and_deepcopy(name: str, backend: str, training: bool) -> None:
    for module, case in modules(name, backend, training):
        call = case.forward_input
        expected = list(tensors(module(*call.args, **call.kwargs)))
        for twin in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
            assert twin.training == training
            results = list(tensors(twin(*call.args, **call.kwargs)))
            assert all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))


def scattered(value: Any) -> Any:
    """The same values, in memory with gaps."""
    if isinstance(value, tuple):
        return tuple(map(scattered, value))
    return noncontiguous_like(value.detach()) if isinstance(value, torch.Tensor) else value


@each_module
def test_inputs_and_weights_with_gaps_in_memory(name: str, backend: str) -> None:
    for module, case in modules(name, backend, training=True):
        args = case.forward_input.args
        expected = everything(module, *args)
        with_gaps = scattered(args)
        assert not all(t.is_contiguous() for t in tensors(with_gaps))
        assert_same(everything(module, *with_gaps), expected)
        for parameter in module.parameters():
            parameter.data = noncontiguous_like(parameter.data)
        assert_same(everything(module, *with_gaps), expected)


@each_module
@pytest.mark.parametrize(("check", "every"), [(torch.autograd.gradcheck, 3), (torch.autograd.gradgradcheck, 7)])
def test_gradients_against_finite_differences(name: str, backend: str, check: Any, every: int) -> None:
    for module, case in itertools.islice(modules(name, backend, training=True), 0, None, every):
        inputs = list(tensors(case.forward_input.args))
        names, weights = zip(*module.named_parameters(), strict=True)

        def call(*values: torch.Tensor, module=module, names=names, inputs=inputs) -> tuple[torch.Tensor, ...]:
            x, *states = values[: len(inputs)]
            hx = (tuple(states) if len(states) > 1 else states[0]) if states else None
            weights = dict(zip(names, values[len(inputs) :], strict=True))
            return tuple(tensors(functional_call(module, weights, (x, hx))))

        assert check(call, (*inputs, *weights), fast_mode=True)


@each_mode
@each_module
def test_training_and_evaluation_agree_without_dropout(name: str, backend: str, training: bool) -> None:
    for module, case in modules(name, backend, training):
        call = case.forward_input
        results = list(tensors(module(*call.args, **call.kwargs)))
        other = list(tensors(module.train(not training)(*call.args, **call.kwargs)))
        assert all(torch.equal(a, b) for a, b in zip(results, other, strict=True))


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@each_module
def test_conversions(name: str, backend: str) -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        for module, case in zip(modules(name, backend, training=True), cases(name, True, dtype), strict=True):
            converted = module[0].to(dtype)
            results = list(tensors(converted(*case.forward_input.args, **case.forward_input.kwargs)))
            assert {r.dtype for r in results} == {dtype}
            assert all(r.isfinite().all() for r in results)


@each_mode
@each_module
def test_wrong_arguments(name: str, backend: str, training: bool) -> None:
    for wrong in refusals(name, training):
        case = wrong.module_error_input
        if wrong.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(wrong.error_type, match=wrong.error_regex):
                made(name, case, training, backend=backend)
        else:
            module = made(name, case, training, backend=backend).to(DTYPE)
            with pytest.raises(wrong.error_type, match=wrong.error_regex):
                module(*case.forward_input.args, **case.forward_input.kwargs)
