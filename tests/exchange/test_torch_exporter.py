"""torch.onnx.export on models with our layers inside, as it is called without us."""

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from carrousel.errors import BackendError
from nn.five import LAYERS
from nn.twins import sequence


class Net(nn.Module):
    """A linear layer, a recurrent one, a linear one."""

    def __init__(self, kind: str, **options: object) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = LAYERS[kind](**options)
        self.before, self.after = nn.Linear(3, 3), nn.Linear(4 * (1 + self.layer.bidirectional), 2)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        output, states = self.layer(self.before(x), lengths=lengths)
        return self.after(output) + (states[0] if isinstance(states, tuple) else states).mean()


#: What says a cell; a Scan says the others.
OPERATORS = {"lstm": "LSTM", "peephole_lstm": "LSTM", "gru": "GRU"}

OPTIONS = {"plain": {}, "everything": {"bidirectional": True, "batch_first": True}}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", LAYERS)
def test_any_number_of_steps_and_rows(kind: str, options: str, tmp_path) -> None:
    deep = {"num_layers": 2} if OPTIONS[options] and kind in OPERATORS else {}  # a Scan takes the exporter seconds
    model = Net(kind, **OPTIONS[options], **deep).eval()
    has_lengths, time_axis = not OPTIONS[options], int(bool(OPTIONS[options]))

    def example(time: int, lengths: list[int]) -> tuple[Tensor, ...]:
        x = sequence(time, len(lengths), 3, dtype=torch.float32).movedim(0, time_axis)
        return (x, torch.tensor(lengths)) if has_lengths else (x,)

    axes = ({time_axis: "time", 1 - time_axis: "batch"}, {0: "batch"})[: 1 + has_lengths]
    program = torch.onnx.export(model, example(5, [5, 2]), dynamo=True, dynamic_shapes=axes, verbose=False)
    program.save(tmp_path / "model.onnx")
    found = {node.op_type for node in program.model.graph} & {"LSTM", "GRU", "RNN", "Scan"}
    assert found == {OPERATORS.get(kind, "Scan")}
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for inputs in (example(5, [5, 2]), example(9, [9, 0, 3, 1])):
        fed = {at.name: value.numpy() for at, value in zip(session.get_inputs(), inputs, strict=True)}
        assert torch.allclose(torch.from_numpy(session.run(None, fed)[0]), model(*inputs), atol=1e-6)


class Resets(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, resets=x[..., 0] > 0)[0]


@pytest.mark.filterwarnings("ignore")
def test_what_onnx_has_not_is_named() -> None:
    with pytest.raises(Exception, match="Failed to export") as caught:
        torch.onnx.export(Resets("gru").eval(), (torch.ones(5, 2, 3),), dynamo=True, verbose=False)
    error = caught.value
    while error.__cause__ is not None:
        error = error.__cause__
    assert isinstance(error, BackendError)
    assert str(error) == ("torch.onnx.export - gru is called with resets=, which ONNX has not - leave it out")
